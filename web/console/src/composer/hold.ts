import type { Entry } from "@deskbell/client";

/** A message of the visitor that was in sight for this long counts as read by whoever types on. */
export const SEEN_MS = 1_500;

/** A text sent this soon after its first letter was decided on in one go; another line of the visitor does not hold it. */
const AT_ONCE_MS = 1_000;

/** What happened in a thread while a reply was being written. */
export interface Change {
  readonly kind: "visitor" | "colleague" | "closed";
  readonly name?: string;
  readonly seq: number;
}

/**
 * The newest change after `seen` that the writer of a reply should look at first, or null. Own messages and the comings and
 * goings of agents are none; a colleague's answer weighs more than another line of the visitor.
 */
export function changeSince(entries: readonly Entry[], seen: number, me: string): Change | null {
  let found: Change | null = null;
  for (const entry of entries) {
    if (entry.seq <= seen) continue;
    const change = changeOf(entry, me);
    if (change !== null && (found === null || weight(change) >= weight(found))) found = change;
  }
  return found;
}

/** The change that a reply is to be held for, if any. `tookMs` is the time since its first letter. */
export function holdFor(entries: readonly Entry[], seen: number, me: string, tookMs: number): Change | null {
  const change = changeSince(entries, seen, me);
  return change?.kind === "visitor" && tookMs < AT_ONCE_MS ? null : change;
}

function changeOf(entry: Entry, me: string): Change | null {
  const { from, seq } = entry;
  if (from.kind === "agent" && from.id === me) return null;
  if (entry.event === "closed") return { kind: "closed", name: from.name, seq };
  if (entry.event !== "message") return null;
  return { kind: from.kind === "visitor" ? "visitor" : "colleague", name: from.name, seq };
}

function weight({ kind }: Change): number {
  return kind === "visitor" ? 0 : 1;
}

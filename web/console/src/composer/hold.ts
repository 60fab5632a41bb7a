import type { Entry } from "@deskbell/client";

/** A message of the visitor that was in sight for this long counts as read by whoever types on. */
export const SEEN_MS = 1_500;

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

import type { Conversation, Entry, Failure, LaneName, Page, Sender } from "@deskbell/client";
import { timeline } from "@deskbell/client/agent";
import { dayStart } from "../i18n/dates.ts";

/** Messages of one person that are closer together than this stand under one name. */
const GROUP_MS = 5 * 60_000;
/** `joined` and `left` of the thread repeat what the desk lane says more exactly within this. */
const SAME_ACT_MS = 2_000;

/** The server has it; a device of the visitor has it; the visitor has read it. */
export type Mark = "sent" | "delivered" | "seen";

/** One message or note in a group. */
export interface Message {
  readonly key: string;
  readonly text: string;
  readonly at: number;
  /** Absent while it is on its way. */
  readonly seq?: number;
  readonly state: "stored" | "queued" | "sending" | "sent" | "failed";
  readonly error?: Failure;
  /** How far our side's messages have come; on the newest that came so far. */
  readonly mark?: Mark;
}

/** Messages, or notes, of one person without a longer pause. */
export interface Group {
  readonly kind: "group";
  readonly key: string;
  readonly at: number;
  readonly lane: LaneName;
  readonly from: Sender;
  readonly own: boolean;
  readonly messages: readonly Message[];
}

/** What the thread shows, from the top down. */
export type Item =
  | Group
  | { readonly kind: "day"; readonly key: string; readonly at: number }
  | { readonly kind: "new"; readonly key: string; readonly at: number }
  | { readonly kind: "line"; readonly key: string; readonly at: number; readonly entry: Entry }
  | { readonly kind: "pages"; readonly key: string; readonly at: number; readonly pages: readonly (Page & { readonly at: number })[] };

/** What of a conversation the items are made from. */
export type Source = Pick<Conversation, "thread" | "desk" | "pending" | "read" | "delivered">;

/** Makes the items of a conversation. `newAfter` is the thread `seq` up to which the reader had read on opening it. */
export function itemsOf(source: Source, me: string, newAfter: number | null): Item[] {
  const builder = new Builder(me, newAfter, marksOf(source));
  const entries = timeline(source);
  for (const entry of entries) {
    if (!isEcho(entry, source.desk.entries)) builder.entry(entry);
  }
  const stored = keysOf(entries);
  for (const pending of source.pending) {
    if (stored.has(pending.key)) continue;
    const { key, text, at, state, error, lane } = pending;
    builder.message(lane, { kind: "agent", id: me }, { key, text, at, state, error });
  }
  return builder.items;
}

/** How many messages of the visitor have a `seq` beyond `after`. */
export function newerThan(entries: readonly Entry[], after: number): number {
  return entries.filter((entry) => entry.seq > after && entry.event === "message" && entry.from.kind === "visitor").length;
}

class Builder {
  readonly items: Item[] = [];
  #day = Number.NaN;
  #divided = false;
  readonly #me: string;
  readonly #newAfter: number | null;
  readonly #marks: ReadonlyMap<number, Mark>;

  constructor(me: string, newAfter: number | null, marks: ReadonlyMap<number, Mark>) {
    this.#me = me;
    this.#newAfter = newAfter;
    this.#marks = marks;
  }

  entry(entry: Entry): void {
    switch (entry.event) {
      case "message":
      case "note":
        if (entry.lane !== "desk") this.#divide(entry);
        return this.message(entry.lane ?? "thread", entry.from, {
          key: entry.key ?? entry.entry,
          text: entry.body.text,
          at: entry.at,
          seq: entry.seq,
          state: "stored",
          mark: entry.lane === undefined ? this.#marks.get(entry.seq) : undefined,
        });
      case "page":
        return this.#page(entry.entry, { ...entry.body, at: entry.at });
      case "joined":
      case "left":
      case "closed":
      case "reopened":
      case "rated":
      case "assigned":
      case "unassigned":
      case "transferred":
      case "banned":
      case "unbanned":
        this.#mark(entry.at);
        this.items.push({ kind: "line", key: entry.entry, at: entry.at, entry });
    }
  }

  message(lane: LaneName, from: Sender, message: Message): void {
    this.#mark(message.at);
    const last = this.items.at(-1);
    if (last?.kind === "group" && continues(last, lane, from, message.at)) {
      this.items[this.items.length - 1] = { ...last, messages: [...last.messages, message] };
      return;
    }
    const own = from.kind === "agent" && from.id === this.#me;
    this.items.push({ kind: "group", key: message.key, at: message.at, lane, from, own, messages: [message] });
  }

  #page(key: string, page: Page & { readonly at: number }): void {
    this.#mark(page.at);
    const last = this.items.at(-1);
    if (last?.kind === "pages") this.items[this.items.length - 1] = { ...last, pages: [...last.pages, page] };
    else this.items.push({ kind: "pages", key, at: page.at, pages: [page] });
  }

  /** A line above the first message of the visitor that nobody had read. */
  #divide(entry: Entry): void {
    if (this.#divided || this.#newAfter === null || entry.seq <= this.#newAfter || entry.from.kind !== "visitor") return;
    this.#divided = true;
    this.#mark(entry.at);
    this.items.push({ kind: "new", key: "new", at: entry.at });
  }

  #mark(at: number): void {
    const day = dayStart(at);
    if (day === this.#day) return;
    this.#day = day;
    this.items.push({ kind: "day", key: `day ${day}`, at });
  }
}

function continues(group: Group, lane: LaneName, from: Sender, at: number): boolean {
  const last = group.messages.at(-1);
  return group.lane === lane && group.from.kind === from.kind && group.from.id === from.id && last !== undefined && at - last.at < GROUP_MS;
}

/** The newest messages of our side that were read, that arrived, and that were sent; of one that is all of it, the furthest. */
function marksOf({ thread, read, delivered }: Source): Map<number, Mark> {
  const marks = new Map<number, Mark>();
  const ends = [
    ["sent", Infinity],
    ["delivered", Math.max(delivered.visitor, read.visitor)],
    ["seen", read.visitor],
  ] as const;
  for (const [mark, end] of ends) {
    const newest = thread.entries.findLast(({ event, from, seq }) => event === "message" && from.kind === "agent" && seq <= end);
    if (newest) marks.set(newest.seq, mark);
  }
  return marks;
}

/** True for a `joined` or `left` that only repeats an assignment which stands beside it. */
function isEcho(entry: Entry, desk: readonly Entry[]): boolean {
  if (entry.event !== "joined" && entry.event !== "left") return false;
  const agent = entry.body.agent.id;
  return desk.some((other) => Math.abs(other.at - entry.at) <= SAME_ACT_MS && concerns(other, agent));
}

function concerns(entry: Entry, agent: string): boolean {
  if (entry.event === "assigned") return entry.body.to === agent;
  if (entry.event === "unassigned") return entry.body.from === agent;
  return entry.event === "transferred" && (entry.body.to === agent || entry.body.from === agent);
}

function keysOf(entries: readonly Entry[]): Set<string> {
  const keys = new Set<string>();
  for (const entry of entries) if (entry.key !== undefined) keys.add(entry.key);
  return keys;
}

// Turns a conversation into the rows of its thread: day marks, grouped messages with their delivery state, events.
import type { Conversation, Entry, Pending } from "@deskbell/client";
import { dayOf } from "./dates.ts";

/** How far an own message has come. */
export type Delivery = "sending" | "sent" | "delivered" | "read" | "failed";

/** One message. */
export interface MessageRow {
  readonly kind: "message";
  /** Stable from the moment it is written: its key, which the log keeps. */
  readonly key: string;
  readonly own: boolean;
  readonly name: string;
  readonly text: string;
  readonly at: number;
  /** Position in its group, for name, avatar and corners. */
  readonly first: boolean;
  readonly last: boolean;
  /** Own messages only; shown under the newest one and under every failed one. */
  readonly delivery?: Delivery;
  readonly showDelivery: boolean;
}

/** One row of the thread. */
export type Row =
  | MessageRow
  | { readonly kind: "day" | "unread"; readonly key: string; readonly at: number }
  | {
      readonly kind: "event";
      readonly key: string;
      readonly event: "joined" | "left" | "closed" | "reopened" | "rated";
      readonly name?: string;
      readonly score?: number;
    };

type Part = Omit<MessageRow, "first" | "last" | "showDelivery"> & { readonly sender: string; readonly seq: number };

// Messages further apart than this start a group of their own.
const GROUP_MS = 5 * 60 * 1000;

/** The rows of a conversation. `readUpTo` is where the visitor had read to when the panel opened: "New" stands after it. */
export function rowsOf(conversation: Conversation, readUpTo = Infinity): Row[] {
  const rows: Row[] = [];
  let before: { day?: string; part?: Part } = {};
  let marked = false;
  const { entries } = conversation.thread;
  // Whoever answered has read what stood above the answer.
  const answered = entries.findLast(({ event, from }) => event === "message" && from.kind === "agent")?.seq ?? 0;
  const marks = { read: Math.max(conversation.read.agent, answered), delivered: conversation.delivered.agent };
  const parts = [...entries.map((entry) => ofEntry(entry, marks)), ...conversation.pending.map(ofPending)];
  for (const part of parts) {
    if (!part) continue;
    const day = dayOf(part.at);
    if (day !== before.day) {
      rows.push({ kind: "day", key: `day ${day}`, at: part.at });
      before = { day };
    }
    if (part.kind === "event") {
      rows.push(part.row);
      before = { day };
      continue;
    }
    if (!marked && !part.own && part.seq > readUpTo) {
      rows.push({ kind: "unread", key: "unread", at: part.at });
      marked = true;
      before = { day };
    }
    const joins = before.part && joined(before.part, part);
    if (joins) rows[rows.length - 1] = { ...(rows.at(-1) as MessageRow), last: false };
    rows.push({ ...part, first: !joins, last: true, showDelivery: part.delivery === "failed" });
    before = { day, part };
  }
  return withNewestDelivery(rows);
}

function joined(one: Part, next: Part): boolean {
  return one.sender === next.sender && next.at - one.at < GROUP_MS && one.delivery !== "failed";
}

/** Up to which `seq` the agents have read, and got, the thread. */
type Marks = { readonly read: number; readonly delivered: number };

function deliveryOf(seq: number, { read, delivered }: Marks): Delivery {
  return seq <= read ? "read" : seq <= delivered ? "delivered" : "sent";
}

function ofEntry(entry: Entry, agents: Marks): Part | EventPart | undefined {
  const key = entry.key ?? entry.entry;
  switch (entry.event) {
    case "message": {
      const own = entry.from.kind === "visitor";
      return {
        kind: "message",
        key,
        own,
        name: entry.from.name ?? "",
        text: entry.body.text,
        at: entry.at,
        sender: own ? "own" : `${entry.from.kind} ${entry.from.id}`,
        seq: entry.seq,
        ...(own && { delivery: deliveryOf(entry.seq, agents) }),
      };
    }
    case "joined":
    case "left":
      return eventPart(entry, { event: entry.event, name: entry.body.agent.name ?? "" });
    case "closed":
    case "reopened":
      return eventPart(entry, { event: entry.event });
    case "rated":
      return eventPart(entry, { event: entry.event, score: entry.body.score });
    default:
      return undefined;
  }
}

type EventRow = Extract<Row, { kind: "event" }>;
type EventPart = { kind: "event"; at: number; row: EventRow };

function eventPart(entry: Entry, rest: Omit<EventRow, "kind" | "key">): EventPart {
  return { kind: "event", at: entry.at, row: { kind: "event", key: entry.entry, ...rest } };
}

function ofPending({ key, text, at, state }: Pending): Part {
  const delivery = state === "queued" ? "sending" : state;
  return { kind: "message", key, own: true, name: "", text, at, sender: "own", seq: Infinity, delivery };
}

function withNewestDelivery(rows: Row[]): Row[] {
  for (let at = rows.length - 1; at >= 0; at--) {
    const row = rows[at]!;
    if (row.kind !== "message" || !row.own) continue;
    rows[at] = { ...row, showDelivery: true };
    break;
  }
  return rows;
}

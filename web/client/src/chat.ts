/** What entries and frames do to one conversation. Pure: values in, values out. */
import { append, NO_ENTRIES } from "./lane.ts";
import type { MarkKind } from "./marks.ts";
import type { Conversation } from "./state.ts";
import type { Entry, LaneName, Opened, QueuePosition, Sender, Watermarks } from "./wire.ts";

/** The protocol ends a `typing` after 5 s without another; the network may take a little longer. */
const TYPING_MS = 6_000;

const LOCAL = "~";

/** The id under which a conversation goes until the server has named it. */
export const localId = (key: string) => LOCAL + key;

export const isLocal = (conversation: string) => conversation.startsWith(LOCAL);

export function blank(id: string, epoch: string, local: boolean): Conversation {
  return {
    id,
    local,
    epoch,
    status: "open",
    thread: NO_ENTRIES,
    desk: NO_ENTRIES,
    pending: [],
    read: { visitor: 0, agent: 0 },
    delivered: { visitor: 0, agent: 0 },
    unread: 0,
    typing: [],
    viewing: [],
    live: false,
  };
}

export const laneOf = (entry: { readonly lane?: LaneName }): LaneName => entry.lane ?? "thread";

/** The conversation with these entries of both lanes, and those of them that were new. */
export function absorb(chat: Conversation, entries: readonly Entry[]): { chat: Conversation; fresh: readonly Entry[] } {
  const fresh = entries.filter((entry) => entry.seq > chat[laneOf(entry)].last);
  if (fresh.length === 0) return { chat, fresh };
  const thread = append(chat.thread, fresh.filter((entry) => laneOf(entry) === "thread"));
  const desk = append(chat.desk, fresh.filter((entry) => laneOf(entry) === "desk"));
  return { chat: fresh.reduce(consequences, { ...chat, thread, desk }), fresh };
}

function consequences(chat: Conversation, entry: Entry): Conversation {
  switch (entry.event) {
    case "message":
      return { ...chat, typing: chat.typing.filter((typing) => !same(typing.by, entry.from)) };
    case "closed":
      return without({ ...chat, status: "closed" }, "queue");
    case "reopened":
      return { ...chat, status: "open" };
    case "joined":
      return without({ ...chat, assignee: entry.body.agent }, "queue");
    case "left":
      return chat.assignee?.id === entry.body.agent.id ? without(chat, "assignee") : chat;
    case "rated":
      return { ...chat, rating: entry.body };
    default:
      return chat;
  }
}

/** What the server says the conversation is, beside its entries. */
export function described(chat: Conversation, opened: Omit<Opened, "conversation" | "seq">): Conversation {
  const { visitor, viewing, read, delivered = read } = opened;
  const known = { ...chat, epoch: opened.epoch, status: opened.status, live: true };
  return {
    ...queued(assigned(known, opened.assignee ?? undefined), opened.queue),
    read: furthest(chat.read, read),
    delivered: furthest(chat.delivered, delivered),
    ...(visitor && { visitor }),
    ...(viewing && { viewing }),
  };
}

function assigned(chat: Conversation, assignee: Conversation["assignee"]): Conversation {
  return assignee ? { ...chat, assignee } : without(chat, "assignee");
}

export function queued(chat: Conversation, queue: QueuePosition | undefined): Conversation {
  return queue ? { ...chat, queue } : without(chat, "queue");
}

/** One's own mark may be ahead of what the server has heard. */
function furthest(a: Watermarks, b: Watermarks): Watermarks {
  return { visitor: Math.max(a.visitor, b.visitor), agent: Math.max(a.agent, b.agent) };
}

export function marked(chat: Conversation, mark: MarkKind, kind: "visitor" | "agent", seq: number): Conversation {
  return seq > chat[mark][kind] ? { ...chat, [mark]: { ...chat[mark], [kind]: seq } } : chat;
}

/** The newest message of the other side that this side's devices are not known to have; 0 for none. */
export function arrived({ thread, read, delivered }: Conversation, own: "visitor" | "agent"): number {
  const seq = thread.entries.findLast((entry) => entry.event === "message" && isOthers(entry, own))?.seq ?? 0;
  return seq > Math.max(read[own], delivered[own]) ? seq : 0;
}

const isOthers = ({ from }: Entry, own: "visitor" | "agent") => (from.kind === "visitor") !== (own === "visitor");

export function typed(chat: Conversation, by: Sender, on: boolean, text: string | undefined): Conversation {
  const others = chat.typing.filter((typing) => !same(typing.by, by));
  if (!on) return others.length === chat.typing.length ? chat : { ...chat, typing: others };
  return { ...chat, typing: [...others, { by, text, until: Date.now() + TYPING_MS }] };
}

export function stillTyping(chat: Conversation, now: number): Conversation {
  const typing = chat.typing.filter(({ until }) => until > now && until - now <= TYPING_MS);
  return typing.length === chat.typing.length ? chat : { ...chat, typing };
}

/** Messages of the other side beyond one's own mark, as far as they are loaded. */
export function unread(chat: Conversation, own: "visitor" | "agent"): number {
  let count = 0;
  for (let i = chat.thread.entries.length - 1; i >= 0; i--) {
    const entry = chat.thread.entries[i]!;
    if (entry.seq <= chat.read[own]) break;
    if (isOthers(entry, own) && entry.event === "message") count++;
  }
  return count;
}

const same = (a: Sender, b: Sender) => a.kind === b.kind && a.id === b.id;

function without<K extends "queue" | "assignee">(chat: Conversation, key: K): Conversation {
  if (!(key in chat)) return chat;
  const { [key]: _, ...rest } = chat;
  return rest as Conversation;
}

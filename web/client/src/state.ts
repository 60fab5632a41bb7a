/** What the interface shows: immutable values; a part that did not change keeps its identity. */
import type { AgentTokenReply, ConversationStatus, Entry, ErrorCode, LaneName, Page, Person, QueuePosition, Role, Sender, SessionReply, VisitorCard, Watermarks } from "./wire.ts";

/** A value that can be watched; its two functions fit `useSyncExternalStore` and need no `this`. */
export interface Readable<T> {
  readonly getSnapshot: () => T;
  readonly subscribe: (listener: () => void) => () => void;
}

/** Why a stopped connection does not come back by itself. */
export type StopReason =
  | "bad_protocol"
  | "unauthorized"
  | "connect_timeout"
  | "banned"
  | "too_many_sessions"
  | "version_too_old"
  | "unknown_project"
  | "forbidden"
  | "closed";

export interface Status {
  readonly state: "idle" | "connecting" | "online" | "waiting" | "stopped";
  /** When `stopped`: why. When `waiting`: what ended the last try, for people who look closely. */
  readonly reason?: StopReason | (string & {});
  /** When this state began, ms since the Unix epoch. */
  readonly since: number;
  /** When `waiting`: the time of the next try. */
  readonly retryAt?: number;
}

/** One log of a conversation, as far as it is loaded: without holes, ascending. */
export interface Lane {
  readonly entries: readonly Entry[];
  /** The newest `seq` that is held; 0 for none. */
  readonly last: number;
  /** True when the server holds entries older than the first one here. */
  readonly older: boolean;
}

/** Own text that is not in its lane yet. */
export interface Pending {
  readonly key: string;
  readonly lane: LaneName;
  readonly text: string;
  readonly at: number;
  /** `sent` is acknowledged: stored for good, its entry is on the way. */
  readonly state: "queued" | "sending" | "sent" | "failed";
  readonly error?: Failure;
}

export interface Failure {
  readonly code: ErrorCode | "full" | "discarded" | (string & {});
  readonly message: string;
  /** The same thing may succeed when it is asked for again. */
  readonly retryable?: boolean;
}

export interface Typing {
  readonly by: Sender;
  /** The draft so far; agents only, and only where the project shows drafts. */
  readonly text?: string;
  /** Not typing any more after this time. */
  readonly until: number;
}

export interface Conversation {
  /** The server's id, or a local one (see `local`) until the opening message is acknowledged. */
  readonly id: string;
  /** True while the server does not know it yet. */
  readonly local: boolean;
  readonly epoch: string;
  readonly status: ConversationStatus;
  readonly thread: Lane;
  /** Agents only; empty for visitors. */
  readonly desk: Lane;
  readonly pending: readonly Pending[];
  /** How far each side has read. */
  readonly read: Watermarks;
  /** How far each side's devices have it; what was read has arrived, whatever this says. */
  readonly delivered: Watermarks;
  /** Loaded messages of the other side beyond one's own read mark. */
  readonly unread: number;
  readonly typing: readonly Typing[];
  readonly queue?: QueuePosition;
  readonly assignee?: Person;
  readonly rating?: { readonly score: number; readonly comment?: string };
  /** Agents only: whose conversation it is. Absent until watched. */
  readonly visitor?: VisitorCard;
  /** Agents only: the agents who have it open, oneself included. */
  readonly viewing: readonly Person[];
  /** Visitors: always true. Agents: subscribed; false means a copy that may be behind. */
  readonly live: boolean;
}

/** Who this session is, once connected. */
export interface Self {
  readonly kind: "visitor" | "agent";
  readonly id: string;
  readonly name?: string;
  /** Agents only. */
  readonly role?: Role;
}

/** The answer of `POST /v1/sessions`, without its secrets. */
export type VisitorProfile = Pick<SessionReply, "visitor" | "project">;

/** The answer of `POST /v1/agents/token`, without its secret. */
export type AgentProfile = Pick<AgentTokenReply, "agent" | "project" | "public_url">;

/** What became of a write. It never rejects: `ok:false` is an answer, to be told to the person. */
export type Outcome =
  | { readonly ok: true; readonly reply: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly error: Failure };

/** A write on its way. */
export interface Write {
  readonly key: string;
  /** The conversation that it goes to; for an `open` the local id. */
  readonly conversation: string;
  readonly settled: Promise<Outcome>;
}

/** An entry as it arrives. `live` is false for what was caught up after a reconnect or a reload. */
export interface Arrival {
  readonly conversation: string;
  readonly entry: Entry;
  readonly own: boolean;
  readonly live: boolean;
}

export interface OpenOptions {
  readonly fields?: Readonly<Record<string, string>>;
  readonly page?: Page;
}

/** The objects of the wire protocol `deskbell.v1`, as this client reads and writes them. */

/** The subprotocol that both sides name in the handshake. */
export const SUBPROTOCOL = "deskbell.v1";

/** Which of a conversation's two logs: what everyone sees, or what only agents see. */
export type LaneName = "thread" | "desk";
export type ConversationStatus = "open" | "closed";
export type AgentStatus = "online" | "away" | "offline";
export type Role = "owner" | "admin" | "agent" | "viewer";

export interface Person {
  readonly id: string;
  readonly name?: string;
}

export interface Sender {
  readonly kind: "visitor" | "agent" | "system";
  readonly id?: string;
  readonly name?: string;
}

export interface Page {
  readonly url: string;
  readonly title: string;
}

/** What happened, with its body; `event` tells them apart. Unknown ones are counted and not shown. */
export type Event =
  | { readonly event: "message" | "note"; readonly body: { readonly text: string } }
  | { readonly event: "joined" | "left"; readonly body: { readonly agent: Person } }
  | { readonly event: "closed" | "reopened"; readonly body: object }
  | { readonly event: "rated"; readonly body: { readonly score: number; readonly comment?: string } }
  | { readonly event: "assigned"; readonly body: { readonly to: string; readonly by: string } }
  | { readonly event: "unassigned"; readonly body: { readonly from: string; readonly by: string } }
  | { readonly event: "transferred"; readonly body: { readonly from: string; readonly to: string; readonly by: string } }
  | { readonly event: "page"; readonly body: Page };

/** One line of a lane. `seq` is dense within its lane; `at` is in ms since the Unix epoch. */
export type Entry = Event & {
  readonly lane?: "desk";
  readonly seq: number;
  readonly entry: string;
  readonly at: number;
  readonly key?: string;
  readonly from: Sender;
};

export interface QueuePosition {
  readonly position: number;
  readonly eta_ms?: number;
}

export interface ReadMarks {
  readonly visitor: number;
  readonly agent: number;
}

/** An agent of the project as colleagues see it. */
export interface AgentInfo {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly status: AgentStatus;
  readonly load: number;
  readonly capacity: number;
}

/** What the visitor panel shows. */
export interface VisitorCard {
  readonly id: string;
  readonly name?: string;
  readonly email?: string;
  readonly identified: boolean;
  readonly fields: Readonly<Record<string, string>>;
  readonly page?: Page;
  readonly conversations: readonly {
    readonly conversation: string;
    readonly status: ConversationStatus;
    readonly at: number;
    readonly preview: string;
  }[];
}

/** One row of the inbox: state, not an event; the higher (`seq`, `desk_seq`) wins. */
export interface Head {
  readonly conversation: string;
  readonly epoch: string;
  readonly status: ConversationStatus;
  readonly seq: number;
  readonly desk_seq: number;
  readonly visitor: Person;
  readonly assignee: string | null;
  readonly waiting_since: number | null;
  readonly unread: number;
  readonly preview: string;
  readonly at: number;
}

/** Always of open conversations. */
export interface Counts {
  readonly mine: number;
  readonly unassigned: number;
  readonly open: number;
}

export interface InboxFilter {
  readonly status: ConversationStatus | "any";
  /** `me`, `none`, `any` or an agent's id. */
  readonly assignee: string;
  /** Part of a visitor's name or e-mail address. */
  readonly visitor?: string;
}

export interface Notice {
  readonly level: "info" | "warning";
  readonly text: string;
}

export type ErrorCode =
  | "bad_request"
  | "unknown_type"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "conflict"
  | "too_large"
  | "rate_limited"
  | "unavailable"
  | "internal";

/** Writes carry a `key`: sending one twice stores it once. */
export type WriteCommand =
  | { readonly type: "open"; readonly body: { readonly text: string }; readonly fields?: Readonly<Record<string, string>>; readonly page?: Page }
  | { readonly type: "send" | "note"; readonly conversation: string; readonly body: { readonly text: string } }
  | { readonly type: "close"; readonly conversation: string }
  | { readonly type: "rate"; readonly conversation: string; readonly score: number; readonly comment?: string }
  | { readonly type: "assign"; readonly conversation: string; readonly to: string | null };

/** Reads and states: repeated by whoever wants them, never kept. */
export type ReadCommand =
  | { readonly type: "history"; readonly conversation: string; readonly lane?: "desk"; readonly before?: number; readonly after?: number; readonly limit: number }
  | { readonly type: "watch"; readonly conversation: string; readonly epoch?: string; readonly seq?: number; readonly desk_seq?: number }
  | { readonly type: "unwatch"; readonly conversation: string }
  | { readonly type: "inbox"; readonly filter: InboxFilter; readonly limit: number; readonly before?: string }
  | { readonly type: "availability"; readonly status: "online" | "away" }
  | { readonly type: "page"; readonly page: Page };

/** Fire and forget. */
export type Signal =
  | { readonly type: "read"; readonly conversation: string; readonly seq: number }
  | { readonly type: "typing"; readonly conversation: string; readonly on: boolean; readonly text?: string };

/** Where a lane was left; the server goes on from there. */
export interface ResumePosition {
  readonly conversation: string;
  readonly epoch: string;
  readonly lane?: "desk";
  readonly seq: number;
}

/** A conversation as `connect` and `watch` hand it over. */
export interface Opened {
  readonly conversation: string;
  readonly epoch: string;
  readonly status: ConversationStatus;
  readonly seq: number;
  readonly desk_seq?: number;
  readonly resumed?: boolean;
  readonly entries?: readonly Entry[];
  readonly read?: ReadMarks;
  readonly assignee?: Person | null;
  readonly queue?: QueuePosition;
  readonly visitor?: VisitorCard;
  readonly viewing?: readonly Person[];
}

export interface ConnectReply {
  readonly session: string;
  readonly kind: "visitor" | "agent";
  readonly subject: string;
  readonly name?: string;
  readonly heartbeat_ms: number;
  readonly token_ttl_ms: number;
  readonly max_frame_bytes: number;
  readonly reconnect_window_ms: number;
  readonly conversations?: readonly Opened[];
  readonly role?: Role;
  /** Visitors get a count, agents their colleagues. */
  readonly agents?: { readonly online: number } | readonly AgentInfo[];
}

export type EntryFrame = Entry & { readonly type: "entry"; readonly conversation: string; readonly epoch: string };

/** Everything that the server sends. */
export type Frame =
  | { readonly type: "ok"; readonly id?: number }
  | { readonly type: "error"; readonly id?: number; readonly code: ErrorCode; readonly message: string; readonly retry_ms?: number }
  | { readonly type: "ping" }
  | { readonly type: "token_expiring"; readonly in_ms: number }
  | EntryFrame
  | { readonly type: "read"; readonly conversation: string; readonly by: Sender; readonly seq: number }
  | { readonly type: "typing"; readonly conversation: string; readonly by: Sender; readonly on: boolean; readonly text?: string }
  | { readonly type: "presence"; readonly agents: { readonly online: number } }
  | { readonly type: "presence"; readonly agent: string; readonly status: AgentStatus; readonly load: number }
  | { readonly type: "queue"; readonly conversation: string; readonly position: number; readonly eta_ms?: number }
  | { readonly type: "inbox"; readonly conversation: Head; readonly counts?: Counts }
  | { readonly type: "viewing"; readonly conversation: string; readonly agents: readonly Person[] }
  | ({ readonly type: "notice" } & Notice);

/**
 * The objects of the wire protocol `deskbell.v1`, as this client reads and writes them. All come from the server's own types
 * (`npm run gen` turns its OpenAPI document into `api.d.ts`); here they get the names by which the interfaces know them.
 */
import type {
  Author,
  AgentRef,
  Availability,
  Colleague,
  Command as AnyCommand,
  Connected,
  Entry as LoggedEntry,
  Event,
  Lane,
  Opened as OpenedReply,
  Position,
  Queue,
  Resumed,
  ServerFrame,
  Status,
  Watched,
  Who,
} from "./api.d.ts";

export type {
  AgentStatus,
  AgentTokenReply,
  Counts,
  ErrorCode,
  Event,
  Head,
  HistoryPage,
  InboxFilter,
  InboxPage,
  Notice,
  Page,
  Problem,
  Role,
  SessionReply,
  VisitorCard,
  Watermarks,
} from "./api.d.ts";

/** The subprotocol that both sides name in the handshake. */
export const SUBPROTOCOL = "deskbell.v1";

/** Which of a conversation's two logs: what everyone sees, or what only agents see. */
export type LaneName = Lane;
export type ConversationStatus = Status;
export type QueuePosition = Queue;
export type ResumePosition = Position;
export type ConnectReply = Connected;
/** An agent of the project as colleagues see it. */
export type AgentInfo = Colleague;
export type AgentAvailability = Availability;

/** Somebody with an id, and with a name where it is known. */
export interface Person {
  readonly id: string;
  readonly name?: string;
}

/** Who wrote, read or types; the name is filled in where the wire brings only an id. */
export interface Sender {
  readonly kind: (Author | Who)["kind"];
  readonly id?: string;
  readonly name?: string;
}

/** One line of a lane, which stands in its conversation here. `seq` is dense within its lane; `at` is in ms since the Unix epoch. */
export type Entry = Event & Pick<LoggedEntry, "lane" | "seq" | "entry" | "at" | "key"> & { readonly from: Sender };

type Keyed = Extract<AnyCommand, { readonly key: string }>;
type Unaddressed<C> = C extends unknown ? Omit<C, "key"> : never;

/** Writes carry a `key`, which the outbox adds: sending one twice stores it once. */
export type WriteCommand = Unaddressed<Keyed>;

/** Reads and states: repeated by whoever wants them, never kept. */
export type ReadCommand = Extract<AnyCommand, { readonly type: "history" | "watch" | "unwatch" | "inbox" | "availability" | "page" | "ban" }>;

/** Fire and forget. */
export type Signal = Extract<AnyCommand, { readonly type: "read" | "delivered" | "typing" }>;

/** A conversation as `connect`, `watch` and `open` hand it over. */
export type Opened = Pick<OpenedReply, "conversation" | "epoch" | "status" | "seq" | "read" | "queue"> &
  Partial<Pick<Resumed, "resumed" | "entries" | "delivered">> &
  Partial<Pick<Watched, "desk_seq" | "visitor" | "viewing">> & { readonly assignee?: AgentRef | null };

/** Everything that the server sends. */
export type Frame = ServerFrame;
export type EntryFrame = Extract<ServerFrame, { readonly type: "entry" }>;

import type { AgentProfile, Arrival, Conversation, Failure, Readable, Self, Status, Write } from "./state.ts";
import type { AgentInfo, Counts, Entry, Head, InboxFilter, Notice } from "./wire.ts";

export interface AgentOptions {
  readonly server?: string;
  readonly storage?: "none" | "tab" | "device";
}

export interface InboxList {
  readonly ids: readonly string[];
  readonly state: "loading" | "ready" | "failed";
  readonly more: boolean;
  readonly error?: Failure;
}

export interface InboxView {
  readonly snapshot: Readable<InboxList>;
  loadMore(): Promise<void>;
  refresh(): Promise<void>;
  dispose(): void;
}

export declare class Agent {
  constructor(options?: AgentOptions);
  readonly status: Readable<Status>;
  readonly self: Readable<Self | null>;
  readonly leader: Readable<boolean>;
  readonly notice: Readable<Notice | null>;
  readonly unknown: Readable<number>;
  readonly profile: Readable<AgentProfile | null>;
  readonly agents: Readable<readonly AgentInfo[]>;
  readonly counts: Readable<Counts>;
  start(): void;
  stop(): void;
  wake(): void;
  destroy(): void;
  login(email: string, password: string): Promise<void>;
  logout(): Promise<void>;
  conversation(id: string): Readable<Conversation | undefined>;
  head(id: string): Readable<Head | undefined>;
  view(filter: InboxFilter): InboxView;
  watch(id: string): () => void;
  prefetch(id: string): Promise<void>;
  onArrival(listener: (arrival: Arrival) => void): () => void;
  send(id: string, text: string): Write;
  note(id: string, text: string): Write;
  close(id: string): Write;
  assign(id: string, to: string | null): Write;
  availability(status: "online" | "away"): Promise<void>;
  retry(key: string): void;
  discard(key: string): void;
  typing(id: string, on: boolean, draft?: string): void;
  read(id: string, seq?: number): void;
  loadOlder(id: string): Promise<boolean>;
}

export declare function timeline(conversation: Conversation): readonly Entry[];

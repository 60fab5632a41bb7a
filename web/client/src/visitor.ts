import type { Arrival, Conversation, OpenOptions, Readable, Self, Status, VisitorProfile, Write } from "./state.ts";
import type { Notice, Page } from "./wire.ts";

export interface VisitorOptions {
  readonly server: string;
  readonly project: string;
  readonly storage: "none" | "tab" | "device";
  readonly identity?: string;
}

export declare class Visitor {
  constructor(options: VisitorOptions);
  readonly status: Readable<Status>;
  readonly self: Readable<Self | null>;
  readonly leader: Readable<boolean>;
  readonly notice: Readable<Notice | null>;
  readonly unknown: Readable<number>;
  readonly profile: Readable<VisitorProfile | null>;
  readonly conversations: Readable<readonly string[]>;
  readonly presence: Readable<{ readonly online: number } | null>;
  readonly unread: Readable<number>;
  start(): void;
  stop(): void;
  wake(): void;
  destroy(): void;
  conversation(id: string): Readable<Conversation | undefined>;
  onArrival(listener: (arrival: Arrival) => void): () => void;
  open(text: string, options?: OpenOptions): Write;
  send(id: string, text: string): Write;
  close(id: string): Write;
  rate(id: string, score: number, comment?: string): Write;
  retry(key: string): void;
  discard(key: string): void;
  typing(id: string, on: boolean, draft?: string): void;
  read(id: string, seq?: number): void;
  loadOlder(id: string): Promise<boolean>;
  page(page: Page): void;
  identify(identity: string | null): Promise<void>;
  remembers(): boolean;
  forget(): void;
}

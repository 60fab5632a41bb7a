import type { Signal } from "./wire.ts";

type Typing = Extract<Signal, { type: "typing" }>;

/** At most one `typing` a second leaves here; it ends by itself when nothing is typed for 5 s. */
const GAP_MS = 1_000;
const QUIET_MS = 5_000;
/** The protocol's limit for a draft, in characters. */
const DRAFT_CHARS = 8_000;

/** Turns keystrokes in one conversation into few `typing` signals. */
export class Typist {
  readonly #send: (signal: Typing) => void;
  readonly #conversation: string;
  #on = false;
  #sentAt = -Infinity;
  #draft: string | undefined;
  #next: ReturnType<typeof setTimeout> | undefined;
  #end: ReturnType<typeof setTimeout> | undefined;

  constructor(conversation: string, send: (signal: Typing) => void) {
    this.#conversation = conversation;
    this.#send = send;
  }

  keystroke(draft: string | undefined): void {
    this.#draft = draft?.slice(0, DRAFT_CHARS);
    clearTimeout(this.#end);
    this.#end = setTimeout(() => this.stop(), QUIET_MS);
    const waitMs = this.#sentAt + GAP_MS - Date.now();
    if (waitMs <= 0 || waitMs > GAP_MS) this.#say();
    else this.#next ??= setTimeout(() => this.#say(), waitMs);
  }

  stop(): void {
    clearTimeout(this.#next);
    clearTimeout(this.#end);
    this.#next = undefined;
    if (this.#on) this.#send({ type: "typing", conversation: this.#conversation, on: false });
    this.#on = false;
    this.#sentAt = -Infinity;
  }

  #say(): void {
    this.#next = undefined;
    this.#on = true;
    this.#sentAt = Date.now();
    this.#send({ type: "typing", conversation: this.#conversation, on: true, text: this.#draft });
  }
}

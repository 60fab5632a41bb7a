import type { Signal } from "./wire.ts";

type Mark = Exclude<Signal, { type: "typing" }>;
/** How far one's own side has come: `delivered` to a device, `read` by the person. */
export type MarkKind = Mark["type"];

/** The server counts one mark a second of each conversation. */
const GAP_MS = 1_000;
/** Each costs one of the 50 reads a second that a session may do; an inbox that comes up has many. */
const AT_ONCE = 10;

/** Turns moving watermarks into few signals: the first goes out at once, the newest of each following second together. */
export class Marks {
  readonly #type: MarkKind;
  readonly #send: (mark: Mark) => void;
  readonly #waiting = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(type: MarkKind, send: (mark: Mark) => void) {
    this.#type = type;
    this.#send = send;
  }

  set(conversation: string, seq: number): void {
    this.#waiting.set(conversation, seq);
    this.#timer ??= setTimeout(() => this.#tell(), 0);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting.clear();
  }

  #tell(): void {
    const marks = [...this.#waiting].slice(0, AT_ONCE);
    for (const [conversation, seq] of marks) {
      this.#waiting.delete(conversation);
      this.#send({ type: this.#type, conversation, seq });
    }
    this.#timer = marks.length > 0 ? setTimeout(() => this.#tell(), GAP_MS) : undefined;
  }
}

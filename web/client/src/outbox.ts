/** Sends what is written: in order within a conversation, each until it is acknowledged or refused for good. */
import type { Command, Reply } from "./connection.ts";
import { isLocal } from "./chat.ts";
import type { DeskbellError } from "./errors.ts";
import type { Action, OutboxItem } from "./model.ts";

export interface OutboxHost {
  readonly items: () => readonly OutboxItem[];
  readonly dispatch: (action: Action) => void;
  readonly request: (command: Command) => Promise<Reply>;
  readonly online: () => boolean;
}

/** The server takes 10 writes a second with bursts of 20; staying below leaves room for a second device. */
const BURST = 15;
const REFILL_MS = 125;
/** No refusal asks for more; a longer wait means that the clock was set back. */
const LONGEST_MS = 60_000;
/** `internal` may heal, but a write that breaks the server each time must end. */
const INTERNAL_ATTEMPTS = 5;

export class Outbox {
  readonly #host: OutboxHost;
  readonly #flying = new Set<string>();
  #tokens = BURST;
  #filledAt = Date.now();
  /** The server said "slow down" until then. */
  #pausedUntil = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wakeAt = Infinity;
  #stopped = false;

  constructor(host: OutboxHost) {
    this.#host = host;
  }

  /** Sends what can be sent now, and comes back for what can't. */
  pump(): void {
    if (this.#stopped || !this.#host.online()) return;
    const busy = new Set<string>();
    for (const item of this.#host.items()) {
      if (item.state === "failed" || item.state === "sent" || busy.has(item.conversation)) continue;
      busy.add(item.conversation);
      if (this.#flying.has(item.key) || !this.#sendable(item)) continue;
      const waitMs = this.#waitMs(item);
      if (waitMs > 0) this.#later(waitMs);
      else void this.#send(item);
    }
  }

  /** Another tab sends from now on; what is in flight is sent again there, under the same keys. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** What goes to a conversation that the server does not know yet waits for its `open`. */
  #sendable(item: OutboxItem): boolean {
    return item.command.type === "open" || !isLocal(item.conversation);
  }

  #waitMs(item: OutboxItem): number {
    const now = Date.now();
    const asked = Math.max(item.retryAt ?? 0, this.#pausedUntil) - now;
    if (asked > 0 && asked <= LONGEST_MS) return asked;
    this.#tokens = Math.min(BURST, this.#tokens + Math.max(0, now - this.#filledAt) / REFILL_MS);
    this.#filledAt = now;
    if (this.#tokens < 1) return REFILL_MS;
    this.#tokens -= 1;
    return 0;
  }

  #later(ms: number): void {
    const at = Date.now() + ms;
    if (at >= this.#wakeAt && this.#wakeAt > Date.now()) return;
    clearTimeout(this.#timer);
    this.#wakeAt = at;
    this.#timer = setTimeout(() => {
      this.#wakeAt = Infinity;
      this.pump();
    }, ms);
  }

  async #send(item: OutboxItem): Promise<void> {
    this.#flying.add(item.key);
    this.#host.dispatch({ a: "put", item: { ...item, state: "sending" } });
    try {
      const reply = await this.#host.request(commandOf(item));
      this.#settle(item, { a: "settled", key: item.key, outcome: { ok: true, reply } });
    } catch (error) {
      this.#settle(item, this.#afterError(item, error as DeskbellError));
    }
  }

  #settle(item: OutboxItem, action: Action): void {
    this.#flying.delete(item.key);
    if (this.#stopped) return;
    const gone = !this.#host.items().some(({ key }) => key === item.key);
    if (!gone || action.a === "settled") this.#host.dispatch(action);
    this.pump();
  }

  #afterError(item: OutboxItem, error: DeskbellError): Action {
    if (error.code === "offline") return { a: "put", item: { ...item, state: "queued" } };
    const attempts = item.attempts + 1;
    const hopeless = error.code === "internal" && attempts >= INTERNAL_ATTEMPTS;
    if (error.retryMs === undefined || hopeless) {
      const failure = { code: error.code, message: error.message, retryable: error.retryable };
      return { a: "settled", key: item.key, outcome: { ok: false, error: failure } };
    }
    const retryAt = Date.now() + error.retryMs;
    if (error.code === "rate_limited") this.#pausedUntil = retryAt;
    return { a: "put", item: { ...item, state: "queued", attempts, retryAt } };
  }
}

function commandOf({ command, key, conversation }: OutboxItem): Command {
  return command.type === "open" ? { ...command, key } : { ...command, key, conversation };
}

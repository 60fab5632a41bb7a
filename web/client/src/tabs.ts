/**
 * One socket for all tabs. A Web Lock makes one tab the leader, and the browser gives the lock to the next one the moment the
 * leader is gone. The leader tells its actions, numbered, to the others over a BroadcastChannel; they send it their calls.
 */
import type { Browser, Channel } from "./browser.ts";
import { DeskbellError, offline } from "./errors.ts";
import { createKey } from "./keys.ts";

export interface TabsHost<Action, Dump> {
  /** This tab holds the socket from now on. */
  readonly lead: () => void;
  /** Another tab does. */
  readonly follow: () => void;
  readonly apply: (action: Action) => void;
  readonly dump: () => Dump;
  readonly load: (dump: Dump) => void;
  /** As leader: do what a tab asks for. */
  readonly run: (tab: string, op: string, argument: unknown) => Promise<unknown>;
  /** As follower: what a new leader has to know of this tab. */
  readonly offer: () => unknown;
  /** As leader: what a tab brings along. */
  readonly joined: (tab: string, offer: unknown) => void;
  readonly gone: (tab: string) => void;
}

type Message =
  | { readonly m: "lead"; readonly leader: string }
  | { readonly m: "hello"; readonly tab: string; readonly offer: unknown }
  | { readonly m: "state"; readonly to: string; readonly leader: string; readonly n: number; readonly dump: unknown }
  | { readonly m: "act"; readonly leader: string; readonly n: number; readonly action: unknown }
  | { readonly m: "call"; readonly tab: string; readonly n: number; readonly op: string; readonly argument: unknown }
  | { readonly m: "done"; readonly to: string; readonly n: number; readonly value?: unknown; readonly error?: Refusal }
  | { readonly m: "ping" }
  | { readonly m: "here"; readonly leader: string }
  | { readonly m: "bye"; readonly tab: string };

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly retryMs: number | undefined;
}

interface Call {
  readonly op: string;
  readonly argument: unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: DeskbellError) => void;
}

/** How often a visible tab looks whether the leader is alive, and how many looks without an answer it takes. */
const LOOK_MS = 4_000;
const LOOKS = 2;

export class Tabs<Action, Dump> {
  readonly id = createKey();
  readonly #name: string | null;
  readonly #browser: Browser;
  readonly #host: TabsHost<Action, Dump>;
  readonly #calls = new Map<number, Call>();
  readonly #known = new Set<string>();
  #channel: Channel | undefined;
  #queue: AbortController | undefined;
  #release: (() => void) | undefined;
  #leading = false;
  /** The leader's name and term; empty while none is known. */
  #leader = "";
  #terms = 0;
  #n = 0;
  #synced = false;
  #lastCall = 0;
  #unanswered = 0;
  #look: ReturnType<typeof setInterval> | undefined;
  #leave: (() => void) | undefined;

  /** Without a name the tab stays on its own. */
  constructor(name: string | null, browser: Browser, host: TabsHost<Action, Dump>) {
    this.#name = name;
    this.#browser = browser;
    this.#host = host;
  }

  get leading(): boolean {
    return this.#leading;
  }

  join(): void {
    if (this.#leave) return;
    const { locks, openChannel } = this.#browser;
    if (this.#name === null || !locks || !openChannel) {
      this.#leave = () => {};
      this.#lead();
      return;
    }
    this.#channel = openChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#receive(data as Message);
    const present = new AbortController();
    void this.#hold(this.#seat(this.id), { signal: present.signal });
    this.#look = setInterval(() => this.look(), LOOK_MS);
    this.#leave = () => present.abort();
    this.#hello();
    this.#stand(false);
  }

  leave(): void {
    if (!this.#leave) return;
    clearInterval(this.#look);
    this.#post({ m: "bye", tab: this.id });
    const end = this.#leave;
    this.#leave = undefined;
    this.#cede();
    this.#queue?.abort();
    this.#release?.();
    this.#channel?.close();
    this.#channel = undefined;
    end();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { reject } of calls) reject(offline());
  }

  /** As leader: tells the others what was just applied here. */
  publish(action: Action): void {
    if (this.#leading && this.#channel) this.#post({ m: "act", leader: this.#leader, n: ++this.#n, action });
  }

  /** Asks the leader, whoever that is now or will be. */
  call(op: string, argument?: unknown): Promise<unknown> {
    if (this.#leading) return this.#host.run(this.id, op, argument);
    const n = ++this.#lastCall;
    return new Promise((resolve, reject) => {
      this.#calls.set(n, { op, argument, resolve, reject });
      if (this.#synced) this.#post({ m: "call", tab: this.id, n, op, argument });
    });
  }

  /** Looks whether the leader answers; takes its place when it sleeps, as suspended tabs do while they keep their lock. */
  look(): void {
    if (this.#leading || !this.#channel || this.#browser.hidden()) return;
    if (this.#unanswered++ >= LOOKS) {
      this.#unanswered = 0;
      this.#stand(true);
    }
    if (this.#synced) this.#post({ m: "ping" });
    else this.#hello();
  }

  #seat(tab: string): string {
    return `${this.#name}/${tab}`;
  }

  /** Holds a lock until the signal, the end of the tab, or a thief. */
  #hold(name: string, options: LockOptions): Promise<unknown> {
    const until = new Promise<void>((resolve) => options.signal?.addEventListener("abort", () => resolve()));
    return this.#browser.locks!.request(name, options, () => until).catch(() => {});
  }

  #stand(steal: boolean): void {
    this.#queue?.abort();
    const queue = (this.#queue = new AbortController());
    const elected = () => {
      if (queue.signal.aborted || !this.#leave) return undefined;
      const reign = new Promise<void>((resolve) => (this.#release = resolve));
      this.#lead();
      return reign;
    };
    const request = this.#browser.locks!.request(this.#name!, steal ? { steal } : { signal: queue.signal }, elected);
    request.catch(() => {
      // Either given up here, or the lock was stolen because this tab did not answer.
      if (this.#queue !== queue || !this.#leave) return;
      this.#cede();
      this.#hello();
      this.#stand(false);
    });
  }

  #lead(): void {
    this.#leading = true;
    this.#leader = `${this.id}.${++this.#terms}`;
    this.#n = 0;
    this.#unanswered = 0;
    this.#post({ m: "lead", leader: this.#leader });
    this.#host.lead();
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const call of calls) this.#host.run(this.id, call.op, call.argument).then(call.resolve, call.reject);
  }

  #cede(): void {
    const led = this.#leading;
    this.#leading = false;
    this.#synced = false;
    this.#leader = "";
    this.#known.clear();
    if (led) this.#host.follow();
  }

  #hello(): void {
    this.#synced = false;
    this.#post({ m: "hello", tab: this.id, offer: this.#host.offer() });
  }

  #post(message: Message): void {
    this.#channel?.postMessage(message);
  }

  #receive(message: Message): void {
    if (!this.#leave) return;
    if (this.#leading) this.#serve(message);
    else this.#follow(message);
  }

  #serve(message: Message): void {
    switch (message.m) {
      case "hello":
        this.#meet(message.tab);
        this.#host.joined(message.tab, message.offer);
        return this.#post({ m: "state", to: message.tab, leader: this.#leader, n: this.#n, dump: this.#host.dump() });
      case "call":
        return this.#work(message);
      case "ping":
        return this.#post({ m: "here", leader: this.#leader });
      case "bye":
        return this.#part(message.tab);
    }
  }

  /** The tab holds a lock of its own while it lives; getting that lock means that it is gone. */
  #meet(tab: string): void {
    if (this.#known.has(tab)) return;
    this.#known.add(tab);
    void this.#browser.locks!.request(this.#seat(tab), () => this.#part(tab));
  }

  #part(tab: string): void {
    if (this.#leading && this.#known.delete(tab)) this.#host.gone(tab);
  }

  #work({ tab, n, op, argument }: Extract<Message, { m: "call" }>): void {
    this.#host.run(tab, op, argument).then(
      (value) => this.#post({ m: "done", to: tab, n, value }),
      ({ code, message, retryMs }: DeskbellError) => this.#post({ m: "done", to: tab, n, error: { code, message, retryMs } }),
    );
  }

  #follow(message: Message): void {
    switch (message.m) {
      case "lead":
        this.#unanswered = 0;
        this.#leader = message.leader;
        return this.#hello();
      case "state":
        return this.#sync(message);
      case "act":
        return this.#act(message);
      case "done":
        return this.#answered(message);
      case "here":
        if (message.leader === this.#leader) this.#unanswered = 0;
        else if (this.#leader === "") this.#hello();
    }
  }

  #sync({ to, leader, n, dump }: Extract<Message, { m: "state" }>): void {
    if (to !== this.id || (this.#leader !== "" && leader !== this.#leader)) return;
    this.#leader = leader;
    this.#n = n;
    this.#synced = true;
    this.#unanswered = 0;
    this.#host.load(dump as Dump);
    for (const [id, { op, argument }] of this.#calls) this.#post({ m: "call", tab: this.id, n: id, op, argument });
  }

  #act({ leader, n, action }: Extract<Message, { m: "act" }>): void {
    if (leader !== this.#leader || !this.#synced) return;
    this.#unanswered = 0;
    if (n !== this.#n + 1) return this.#hello();
    this.#n = n;
    this.#host.apply(action as Action);
  }

  #answered({ to, n, value, error }: Extract<Message, { m: "done" }>): void {
    const call = to === this.id ? this.#calls.get(n) : undefined;
    if (!call) return;
    this.#calls.delete(n);
    if (error) call.reject(new DeskbellError(error.code, error.message, error.retryMs));
    else call.resolve(value);
  }
}

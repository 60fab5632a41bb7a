/** A person's machine: tabs that share locks, channels and storage, and that can be killed, frozen and hidden. */
import type { Browser, Channel } from "../../src/browser.ts";
import { FakeSocket, type FakeServer } from "./server.ts";

interface Waiting {
  readonly tab: Tab;
  readonly grant: () => Promise<unknown>;
  readonly reject: (error: Error) => void;
}


export class Machine {
  readonly server: FakeServer;
  readonly device = new MemoryStorage();
  readonly tabs: Tab[] = [];
  readonly channels = new Map<string, Set<FakeChannel>>();
  readonly #held = new Map<string, Waiting>();
  readonly #queues = new Map<string, Waiting[]>();

  constructor(server: FakeServer) {
    this.server = server;
  }

  tab(options: { shared?: boolean; storage?: MemoryStorage } = {}): Tab {
    const tab = new Tab(this, options.shared ?? true, options.storage ?? new MemoryStorage());
    this.tabs.push(tab);
    return tab;
  }

  request(tab: Tab, name: string, options: LockOptions, callback: () => unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const grant = async () => resolve(await callback());
      const waiting: Waiting = { tab, grant, reject };
      options.signal?.addEventListener("abort", () => this.#giveUp(name, waiting));
      if (options.steal) {
        this.#held.get(name)?.reject(new Error("stolen"));
        this.#held.delete(name);
        this.#queues.get(name)?.unshift(waiting) ?? this.#queues.set(name, [waiting]);
      } else {
        this.#queues.set(name, [...(this.#queues.get(name) ?? []), waiting]);
      }
      this.#next(name);
    });
  }

  release(tab: Tab): void {
    for (const [name, queue] of this.#queues) this.#queues.set(name, queue.filter((waiting) => waiting.tab !== tab));
    for (const [name, held] of [...this.#held]) {
      if (held.tab !== tab) continue;
      this.#held.delete(name);
      this.#next(name);
    }
  }

  #giveUp(name: string, waiting: Waiting): void {
    const queue = this.#queues.get(name) ?? [];
    if (!queue.includes(waiting)) return;
    this.#queues.set(name, queue.filter((other) => other !== waiting));
    waiting.reject(new Error("aborted"));
  }

  #next(name: string): void {
    const queue = this.#queues.get(name) ?? [];
    if (this.#held.has(name) || queue.length === 0) return;
    const first = queue.shift()!;
    this.#held.set(name, first);
    setTimeout(async () => {
      await first.grant();
      if (this.#held.get(name) !== first) return;
      this.#held.delete(name);
      this.#next(name);
    });
  }
}

export class Tab {
  readonly browser: Browser;
  readonly storage: MemoryStorage;
  readonly sockets: FakeSocket[] = [];
  hidden = false;
  alive = true;
  /** Loses what is said to it. */
  deaf = false;
  /** Suspended: keeps its locks, hears nothing. */
  frozen = false;
  readonly #machine: Machine;
  readonly #channels = new Set<FakeChannel>();
  readonly #wakes = new Set<() => void>();
  readonly #losses = new Set<() => void>();
  readonly #pages = new Set<(shown: boolean) => void>();

  constructor(machine: Machine, shared: boolean, storage: MemoryStorage) {
    this.#machine = machine;
    this.storage = storage;
    this.browser = this.#browser(shared);
  }

  /** Ends the tab as a crash does: without a word. */
  kill(): void {
    this.alive = false;
    for (const socket of this.sockets) {
      socket.readyState = 3;
      socket.onopen = socket.onmessage = socket.onclose = null;
    }
    for (const channel of this.#channels) channel.close();
    this.#machine.release(this);
  }

  /** The network or the person is back. */
  wake(): void {
    for (const listener of this.#wakes) listener();
  }

  /** The browser says `offline`. */
  lose(): void {
    for (const listener of this.#losses) listener();
  }

  /** `pagehide`, and with `true` the way back from the cache. */
  page(shown: boolean): void {
    for (const listener of this.#pages) listener(shown);
  }

  #browser(shared: boolean): Browser {
    const tab = this;
    const machine = this.#machine;
    const { server } = machine;
    const TabSocket = class extends FakeSocket {
      constructor(url: string, protocol: string) {
        if (!tab.alive) throw new Error("this tab is dead");
        super(server, url, protocol);
        tab.sockets.push(this);
      }
    };
    return {
      WebSocket: TabSocket as unknown as Browser["WebSocket"],
      fetch: ((url: string, init: RequestInit) => (tab.alive ? server.fetch(url, init) : new Promise(() => {}))) as typeof fetch,
      random: () => 0.5,
      ...(shared && {
        locks: { request: (name: string, a: any, b?: any) => machine.request(tab, name, b ? a : {}, b ?? a) } as unknown as LockManager,
        openChannel: (name: string) => this.#open(name),
      }),
      storage: (kind) => (kind === "tab" ? this.storage : machine.device) as unknown as Storage,
      hidden: () => tab.hidden,
      onWake: (listener) => (this.#wakes.add(listener), () => this.#wakes.delete(listener)),
      onOffline: (listener) => (this.#losses.add(listener), () => this.#losses.delete(listener)),
      onPage: (listener) => (this.#pages.add(listener), () => this.#pages.delete(listener)),
    };
  }

  #open(name: string): Channel {
    const peers = this.#machine.channels.get(name) ?? new Set();
    this.#machine.channels.set(name, peers);
    const channel = new FakeChannel(this, peers);
    this.#channels.add(channel);
    return channel as unknown as Channel;
  }
}

class FakeChannel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  readonly tab: Tab;
  readonly #peers: Set<FakeChannel>;

  constructor(tab: Tab, peers: Set<FakeChannel>) {
    this.tab = tab;
    this.#peers = peers;
    peers.add(this);
  }

  postMessage(message: unknown): void {
    if (!this.#peers.has(this) || this.tab.frozen) return;
    for (const peer of this.#peers) {
      if (peer === this) continue;
      const data = structuredClone(message);
      setTimeout(() => this.#peers.has(peer) && !peer.tab.frozen && !peer.tab.deaf && peer.onmessage?.({ data }));
    }
  }

  close(): void {
    this.#peers.delete(this);
  }
}

export class MemoryStorage {
  readonly items = new Map<string, string>();
  full = false;

  getItem(name: string): string | null {
    return this.items.get(name) ?? null;
  }

  setItem(name: string, value: string): void {
    if (this.full) throw new Error("QuotaExceededError");
    this.items.set(name, value);
  }

  removeItem(name: string): void {
    this.items.delete(name);
  }
}

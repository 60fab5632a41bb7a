/** What visitor's and agent's sessions share: the model, the tabs, and in the leading tab the connection and the outbox. */
import type { Browser } from "./browser.ts";
import { Cell } from "./cell.ts";
import { arrived, isLocal, localId } from "./chat.ts";
import { Connection, type Command, type Reply } from "./connection.ts";
import { offline, type DeskbellError } from "./errors.ts";
import { createKey } from "./keys.ts";
import { Marks, type MarkKind } from "./marks.ts";
import type { Action, Dump, Model, OutboxItem } from "./model.ts";
import { isText } from "./model.ts";
import { Outbox } from "./outbox.ts";
import type { Arrival, Conversation, Outcome, Readable, Self, Status, Write } from "./state.ts";
import { Tabs } from "./tabs.ts";
import { Typist } from "./typist.ts";
import { OUTBOX_ITEMS, Vault, type StorageMode } from "./vault.ts";
import type { ConnectReply, Frame, LaneName, Notice, Opened, ReadCommand, ResumePosition, Signal, WriteCommand } from "./wire.ts";

export interface SessionOptions {
  readonly server: string;
  /** Names the group of tabs and what is stored. */
  readonly name: string;
  readonly storage: StorageMode;
  readonly client: string;
  readonly browser: Browser;
}

/** The version that `connect` names. */
const VERSION = "0.1.0";
const PAGE_ENTRIES = 50;
const HEAL_ENTRIES = 200;

export abstract class Session<M extends Model> {
  readonly leader: Readable<boolean>;
  protected readonly model: M;
  protected readonly browser: Browser;
  protected readonly server: string;
  protected readonly vault: Vault;
  readonly #options: SessionOptions;
  readonly #tabs: Tabs<Action, Dump>;
  readonly #leads = new Cell(false);
  readonly #settling = new Map<string, (outcome: Outcome) => void>();
  readonly #typists = new Map<string, Typist>();
  readonly #healing = new Set<string>();
  readonly #loading = new Map<string, Promise<boolean>>();
  readonly #marks: Readonly<Record<MarkKind, Marks>>;
  #connection: Connection | null = null;
  #outbox: Outbox | null = null;
  #saved: readonly unknown[] = [];
  #listeners: readonly (() => void)[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(model: M, options: SessionOptions) {
    this.model = model;
    this.#options = options;
    this.browser = options.browser;
    this.server = options.server.replace(/\/+$/, "");
    this.leader = this.#leads;
    const signal = (mark: Signal) => this.#connection?.signal(mark);
    this.#marks = { read: new Marks("read", signal), delivered: new Marks("delivered", signal) };
    this.vault = new Vault(options.browser, options.storage, options.name);
    this.#restore();
    // Tabs of different versions do not understand each other.
    const group = options.storage === "none" ? null : `${options.name}:${VERSION}`;
    this.#tabs = new Tabs<Action, Dump>(group, options.browser, {
      lead: () => this.#lead(),
      follow: () => this.#follow(),
      apply: (action) => this.#applied(action),
      dump: () => model.dump(),
      load: (dump) => this.#load(dump),
      run: (tab, op, argument) => this.perform(tab, op, argument),
      offer: () => this.offer(),
      joined: (tab, offer) => this.joined(tab, offer),
      gone: (tab) => this.gone(tab),
    });
    model.outcomes.add(({ key, outcome }) => this.#settled(key, outcome));
    model.status.subscribe(() => this.#lookAgain());
  }

  get status(): Readable<Status> {
    return this.model.status;
  }

  get self(): Readable<Self | null> {
    return this.model.self;
  }

  get notice(): Readable<Notice | null> {
    return this.model.notice;
  }

  /** Joins the browser's other tabs, and connects when none of them has. */
  start(): void {
    if (this.#listeners.length > 0) return;
    const { onWake, onOffline, onPage } = this.browser;
    this.#listeners = [
      onWake(() => this.wake()),
      onOffline(() => this.#connection?.interrupt()),
      // A page in the back/forward cache must hold neither lock nor socket.
      onPage((shown) => (shown ? this.#tabs.join() : this.#tabs.leave())),
    ];
    this.#tabs.join();
  }

  /** Leaves the other tabs and, as the leader, hands the socket over. What is held stays; `start` goes on from there. */
  stop(): void {
    for (const typist of this.#typists.values()) typist.stop();
    for (const end of this.#listeners) end();
    this.#listeners = [];
    this.#tabs.leave();
    clearTimeout(this.#retry);
    this.model.apply({ a: "status", status: { state: "idle", since: Date.now() } });
  }

  destroy(): void {
    this.stop();
    this.model.arrivals.clear();
    this.#settling.clear();
  }

  /** The person or the network is back: connect now instead of later. */
  wake(): void {
    this.#tabs.look();
    this.fire("wake");
  }

  conversation(id: string): Readable<Conversation | undefined> {
    return this.model.cell(id);
  }

  /** Every new entry, once in each tab. */
  onArrival(listener: (arrival: Arrival) => void): () => void {
    this.model.arrivals.add(listener);
    return () => void this.model.arrivals.delete(listener);
  }

  send(id: string, text: string): Write {
    this.#typists.get(this.model.resolve(id))?.stop();
    return this.write({ type: "send", conversation: id, body: { text } }, id);
  }

  close(id: string): Write {
    return this.write({ type: "close", conversation: id }, id);
  }

  /** Sends a failed text again. */
  retry(key: string): void {
    this.fire("retry", key);
  }

  /** Takes back a text that failed or was not sent yet. */
  discard(key: string): void {
    this.fire("discard", key);
  }

  /** Call on every keystroke; with `on: false` when the text is gone. */
  typing(id: string, on: boolean, draft?: string): void {
    const conversation = this.model.resolve(id);
    if (isLocal(conversation)) return;
    let typist = this.#typists.get(conversation);
    if (!typist) this.#typists.set(conversation, (typist = new Typist(conversation, (signal) => this.fire("signal", signal))));
    if (on) typist.keystroke(draft);
    else typist.stop();
  }

  /** Everything up to `seq` (default: the newest that is here) was seen. */
  read(id: string, seq = Infinity): void {
    const chat = this.model.chat(id);
    const mark = Math.min(seq, chat?.thread.last ?? 0);
    if (!chat || chat.local || mark <= chat.read[this.model.kind]) return;
    this.fire("read", { conversation: chat.id, seq: mark });
  }

  /** Loads a page of older entries; resolves with whether there are still older ones. */
  loadOlder(id: string): Promise<boolean> {
    const chat = this.model.chat(id);
    if (!chat || chat.local) return Promise.resolve(false);
    let loading = this.#loading.get(chat.id);
    if (!loading) {
      loading = this.older(chat).finally(() => this.#loading.delete(chat.id));
      this.#loading.set(chat.id, loading);
    }
    return loading;
  }

  protected async older(chat: Conversation): Promise<boolean> {
    await this.pageBefore(chat, "thread");
    return this.model.chat(chat.id)?.thread.older ?? false;
  }

  protected async pageBefore(chat: Conversation, lane: LaneName): Promise<void> {
    const { older, entries, last } = chat[lane];
    if (!older) return;
    const before = entries[0]?.seq ?? last + 1;
    await this.ask({ type: "history", conversation: chat.id, lane, before, limit: PAGE_ENTRIES });
  }

  protected abstract getToken(): Promise<string>;

  /** Where the server is to go on; a `connect` may have 8 KiB, which is room for the token and fifty of these. */
  protected positions(): readonly ResumePosition[] {
    return [];
  }

  /** As leader, each time the connection is there. */
  protected connected(): void {}

  /** As leader: what the server says unasked. */
  protected heard(frame: Frame): void {
    this.dispatch({ a: "frame", frame });
    if (frame.type === "entry") this.#confirm(frame.conversation);
  }

  /** As leader, before the first connect. */
  protected led(): void {}

  /** What a new leader must know of this tab. */
  protected offer(): unknown {
    return { outbox: this.model.outbox.filter(({ state }) => state !== "sent") };
  }

  protected joined(_tab: string, offer: unknown): void {
    for (const item of (offer as { outbox: readonly OutboxItem[] }).outbox) this.#enqueue(item);
  }

  protected gone(_tab: string): void {}

  /** As leader: does what a tab asks for. */
  protected async perform(_tab: string, op: string, argument: unknown): Promise<unknown> {
    switch (op) {
      case "put":
        return this.#enqueue(argument as OutboxItem);
      case "retry":
        return this.#again(argument as string);
      case "discard":
        return this.#takeBack(argument as string);
      case "ask":
        return this.#request(argument as ReadCommand);
      case "signal":
        return this.#connection?.signal(argument as Signal);
      case "read":
        return this.mark("read", argument as { conversation: string; seq: number });
      case "wake":
        return this.#connection?.wake();
      case "start":
        return this.#connection?.start();
    }
    return undefined;
  }

  /** Asks the leader for something whose answer shows in the model. */
  protected fire(op: string, argument?: unknown): void {
    this.#tabs.call(op, argument).catch(() => {
      // Left the tabs: nobody is there to hear it, and the outbox is offered again on return.
    });
  }

  protected ask(command: ReadCommand): Promise<Reply> {
    return this.#tabs.call("ask", command) as Promise<Reply>;
  }

  protected call(op: string, argument?: unknown): Promise<unknown> {
    return this.#tabs.call(op, argument);
  }

  protected write(command: WriteCommand, conversation?: string, lane: LaneName = "thread"): Write {
    const key = createKey();
    const text = "body" in command ? command.body.text : "";
    const target = this.model.resolve(conversation ?? localId(key));
    const item: OutboxItem = { key, command, conversation: target, lane, text, at: Date.now(), state: "queued", attempts: 0 };
    const settled = new Promise<Outcome>((resolve) => this.#settling.set(key, resolve));
    // Shown here at once; the leader's word follows.
    if (!this.#tabs.leading) this.#applied({ a: "put", item });
    this.fire("put", item);
    return { key, conversation: target, settled };
  }

  /** As leader: changes the model here and in the other tabs. */
  protected dispatch(action: Action): void {
    this.#applied(action);
    this.#tabs.publish(action);
  }

  protected get started(): boolean {
    return this.#listeners.length > 0;
  }

  protected get tab(): string {
    return this.#tabs.id;
  }

  protected get connection(): Connection | null {
    return this.#connection;
  }

  /** As leader: tells the server one's own marks where it is behind, and that what it just brought is here. */
  protected remark({ conversation, read, delivered = read }: Opened): void {
    const { kind } = this.model;
    const chat = this.model.chat(conversation);
    if (chat && chat.read[kind] > read[kind]) this.mark("read", { conversation, seq: chat.read[kind] });
    if (chat && chat.delivered[kind] > delivered[kind]) this.mark("delivered", { conversation, seq: chat.delivered[kind] });
    this.#confirm(conversation);
  }

  /** As leader: one's own side has come to `seq`. */
  protected mark(type: MarkKind, { conversation, seq }: { conversation: string; seq: number }): void {
    const self = this.model.self.getSnapshot();
    if (self) this.dispatch({ a: "frame", frame: { type, conversation, by: { kind: self.kind, id: self.id }, seq } });
    this.#marks[type].set(conversation, seq);
  }

  /** As leader: says what has arrived here from the other side. */
  #confirm(conversation: string): void {
    const chat = this.model.chat(conversation);
    const seq = chat?.live ? arrived(chat, this.model.kind) : 0;
    if (seq > 0) this.mark("delivered", { conversation, seq });
  }

  #lead(): void {
    const connection: Connection = new Connection(
      {
        url: `${this.server.replace(/^http/, "ws")}/v1/ws`,
        client: { name: this.#options.client, version: VERSION },
        getToken: () => this.getToken(),
        resume: () => this.positions(),
        onStatus: (status) => this.#connection === connection && this.#shown(status),
        onConnected: (reply) => this.#welcomed(reply),
        onFrame: (frame) => this.heard(frame),
      },
      this.browser,
    );
    this.#connection = connection;
    this.#outbox = new Outbox({
      items: () => this.model.outbox,
      dispatch: (action) => this.dispatch(action),
      request: (command) => connection.request(command),
      online: () => connection.online,
    });
    this.model.onHole = (conversation, lane) => void this.#heal(conversation, lane);
    this.#leads.set(true);
    this.led();
    connection.start();
  }

  #follow(): void {
    const connection = this.#connection;
    this.#connection = null;
    this.#outbox?.stop();
    this.#outbox = null;
    this.model.onHole = undefined;
    this.#marks.read.clear();
    this.#marks.delivered.clear();
    connection?.stop();
    this.#leads.set(false);
  }

  #shown(status: Status): void {
    this.dispatch({ a: "status", status });
    if (status.state !== "online") return;
    this.connected();
    this.#outbox?.pump();
  }

  #welcomed(reply: ConnectReply): void {
    this.dispatch({ a: "connected", reply });
    for (const opened of reply.conversations ?? []) this.remark(opened);
  }

  #applied(action: Action): void {
    this.model.apply(action);
    if (action.a === "reset") this.vault.wipe();
    this.#save();
  }

  #load(dump: Dump): void {
    this.model.load(dump);
    this.#save();
  }

  #enqueue(item: OutboxItem): void {
    const { outbox } = this.model;
    if (!outbox.some(({ key }) => key === item.key)) {
      if (outbox.length >= OUTBOX_ITEMS) {
        this.dispatch({ a: "settled", key: item.key, outcome: { ok: false, error: { code: "full", message: "too much is waiting to be sent" } } });
        return;
      }
      this.dispatch({ a: "put", item: { ...item, state: item.state === "failed" ? "failed" : "queued" } });
    }
    this.#outbox?.pump();
  }

  #again(key: string): void {
    const item = this.model.outbox.find((other) => other.key === key && other.state === "failed");
    if (!item) return;
    const { error, ...rest } = item;
    // What was refused for good is another command now; what might have been stored must keep its key.
    const fresh = error?.retryable ? key : createKey();
    this.dispatch({ a: "put", item: { ...rest, key: fresh, state: "queued", attempts: 0 }, instead: key });
    this.#outbox?.pump();
  }

  #takeBack(key: string): void {
    const item = this.model.outbox.find((other) => other.key === key);
    if (!item || item.state === "sending" || item.state === "sent") return;
    if (item.command.type === "open") this.#promote(item);
    this.dispatch({ a: "drop", key });
    this.#outbox?.pump();
  }

  /** When an opening message is taken back, the next one for the same conversation opens it. */
  #promote(opener: OutboxItem): void {
    const next = this.model.outbox.find((item) => item !== opener && item.conversation === opener.conversation && isText(item));
    if (next && "body" in next.command) this.dispatch({ a: "put", item: { ...next, command: { ...opener.command, body: next.command.body } as WriteCommand } });
  }

  /** As leader: asks, and changes nothing. */
  protected raw(command: Command): Promise<Reply> {
    return this.#connection?.request(command) ?? Promise.reject(offline());
  }

  async #request(command: ReadCommand): Promise<Reply> {
    const reply = await this.raw(command);
    this.dispatch({ a: "reply", command, reply });
    if (command.type === "history") this.#confirm(command.conversation);
    return reply;
  }

  async #heal(id: string, lane: LaneName): Promise<void> {
    const mark = id + lane;
    if (this.#healing.has(mark)) return;
    this.#healing.add(mark);
    try {
      while (this.model.hole(id, lane)) {
        const { last } = this.model.chat(id)![lane];
        const position = last > 0 ? { after: last, limit: HEAL_ENTRIES } : { limit: PAGE_ENTRIES };
        await this.#request({ type: "history", conversation: id, lane, ...position });
        if (this.model.chat(id)?.[lane].last === last) break;
      }
    } catch (error) {
      // Without a connection there is nothing to do: the next one resumes at this position.
      const retryMs = (error as DeskbellError).retryMs;
      if (retryMs) setTimeout(() => void this.#heal(id, lane), retryMs);
    } finally {
      this.#healing.delete(mark);
    }
  }

  #settled(key: string, outcome: Outcome): void {
    const resolve = this.#settling.get(key);
    this.#settling.delete(key);
    resolve?.(outcome);
  }

  /** Timers of a hidden leader are slow; a visible tab minds the time of the next try for it. */
  #lookAgain(): void {
    clearTimeout(this.#retry);
    const { state, retryAt } = this.model.status.getSnapshot();
    if (state !== "waiting" || retryAt === undefined || this.#tabs.leading) return;
    this.#retry = setTimeout(() => this.browser.hidden() || this.fire("wake"), Math.max(0, retryAt - Date.now()));
  }

  #restore(): void {
    const { resume, owner, outbox } = this.vault.read();
    this.model.owner = owner ?? "";
    this.model.resume = resume ?? "";
    for (const item of outbox ?? []) this.model.apply({ a: "put", item: { ...item, state: item.state === "failed" ? "failed" : "queued" } });
  }

  /** Nothing is stored before the person has written something. */
  #save(): void {
    const { owner, resume, outbox } = this.model;
    const state = [owner, resume, outbox, this.#tabs.leading];
    if (state.every((part, i) => part === this.#saved[i])) return;
    const acted = outbox.length > 0 || !this.model.held().next().done || this.vault.used;
    const mine = this.#tabs.leading || this.#options.storage === "tab";
    if (!mine || !acted) return;
    this.#saved = state;
    this.vault.write({ owner, resume: resume || undefined, outbox: outbox.filter(({ state }) => state !== "sent") });
  }
}

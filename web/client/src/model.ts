/**
 * What this browser knows, changed by actions only. The tab that holds the socket tells every action to the others, which
 * apply the same ones in the same order: so all tabs agree, and any of them can take over.
 */
import { Cell, tell } from "./cell.ts";
import { absorb, blank, described, isLocal, laneOf, localId, marked, queued, stillTyping, typed, unread } from "./chat.ts";
import { hasKey, laneAt, NO_ENTRIES, prepend } from "./lane.ts";
import type { Arrival, Conversation, Failure, Outcome, Pending, Self, Status } from "./state.ts";
import type { ConnectReply, Counts, Entry, EntryFrame, Frame, Head, HistoryPage, LaneName, Notice, Opened, ReadCommand, Sender, WriteCommand } from "./wire.ts";

/** A write on its way; those with a text are shown as pending. */
export interface OutboxItem extends Pending {
  readonly command: WriteCommand;
  /** The server's id, or a local one until the `open` is acknowledged. */
  readonly conversation: string;
  readonly attempts: number;
  /** Not to be sent before. */
  readonly retryAt?: number;
  /** Where it was stored. */
  readonly seq?: number;
}

type Reply = Readonly<Record<string, unknown>>;

export type Action =
  | { readonly a: "status"; readonly status: Status }
  | { readonly a: "connected"; readonly reply: ConnectReply }
  | { readonly a: "frame"; readonly frame: Frame }
  | { readonly a: "reply"; readonly command: ReadCommand; readonly reply: Reply }
  /** `instead` names the item whose place it takes; by default the one with the same key. */
  | { readonly a: "put"; readonly item: OutboxItem; readonly instead?: string }
  | { readonly a: "settled"; readonly key: string; readonly outcome: Outcome }
  | { readonly a: "drop"; readonly key: string }
  | { readonly a: "profile"; readonly profile: object | null; readonly owner: string; readonly resume: string }
  | { readonly a: "reset" }
  | AgentAction;

/** What only agents' models know. */
export type AgentAction =
  | { readonly a: "heads"; readonly heads: readonly Head[]; readonly counts: Counts; readonly stale: readonly string[] }
  | { readonly a: "prepared"; readonly head: Head }
  | { readonly a: "unwatched"; readonly conversation: string }
  | { readonly a: "refused"; readonly conversation: string; readonly failure: Failure }
  | { readonly a: "availability"; readonly status: "online" | "away" };

export interface Dump {
  readonly profile: object | null;
  readonly owner: string;
  readonly resume: string;
  readonly status: Status;
  readonly self: Self | null;
  readonly notice: Notice | null;
  readonly outbox: readonly OutboxItem[];
  readonly aliases: readonly (readonly [string, string])[];
  readonly chats: readonly Conversation[];
}

export const isText = (item: OutboxItem) => "body" in item.command;

export class Model {
  readonly kind: "visitor" | "agent";
  readonly status = new Cell<Status>({ state: "idle", since: Date.now() });
  readonly self = new Cell<Self | null>(null);
  readonly profile = new Cell<object | null>(null);
  readonly notice = new Cell<Notice | null>(null);
  /** Ids, newest first; local ones in front. */
  readonly conversations = new Cell<readonly string[]>([]);
  readonly unread = new Cell(0);
  readonly arrivals = new Set<(arrival: Arrival) => void>();
  readonly outcomes = new Set<(settled: { key: string; outcome: Outcome }) => void>();
  /** Told when a lane lacks entries that the server has; only the tab with the socket listens. */
  onHole: ((conversation: string, lane: LaneName) => void) | undefined;
  outbox: readonly OutboxItem[] = [];
  /** Whose all this is. */
  owner = "";
  /** A visitor's way to be the same one later. */
  resume = "";
  protected readonly chats = new Map<string, Conversation>();
  readonly #cells = new Map<string, Cell<Conversation | undefined>>();
  readonly #aliases = new Map<string, string>();
  /** The highest `seq` heard of, by conversation and lane, stored here or not. */
  readonly #heard = new Map<string, number>();
  #sweep: ReturnType<typeof setTimeout> | undefined;

  constructor(kind: "visitor" | "agent") {
    this.kind = kind;
  }

  /** The server's id where it is known by now. */
  resolve(id: string): string {
    const next = this.#aliases.get(id);
    return next === undefined ? id : this.resolve(next);
  }

  chat(id: string): Conversation | undefined {
    return this.chats.get(this.resolve(id));
  }

  held(): IterableIterator<Conversation> {
    return this.chats.values();
  }

  cell(id: string): Cell<Conversation | undefined> {
    let cell = this.#cells.get(id);
    if (!cell) this.#cells.set(id, (cell = new Cell(this.chat(id))));
    return cell;
  }

  /** Whether the server has entries of this lane beyond the newest that is held. */
  hole(id: string, lane: LaneName): boolean {
    const chat = this.chats.get(id);
    return !!chat && chat.live && (this.#heard.get(id + lane) ?? 0) > chat[lane].last;
  }

  apply(action: Action): void {
    switch (action.a) {
      case "status":
        return this.status.set(action.status);
      case "connected":
        return this.connected(action.reply);
      case "frame":
        return this.frame(action.frame);
      case "reply":
        return this.reply(action.command, action.reply);
      case "put":
        return this.#put(action.item, action.instead);
      case "settled":
        return this.#settle(action.key, action.outcome);
      case "drop":
        return this.#remove(action.key);
      case "profile":
        return this.#introduce(action);
      case "reset":
        return this.reset();
      default:
        return this.applyMore(action);
    }
  }

  protected applyMore(_action: AgentAction): void {}

  dump(): Dump {
    return {
      status: this.status.getSnapshot(),
      profile: this.profile.getSnapshot(),
      owner: this.owner,
      resume: this.resume,
      self: this.self.getSnapshot(),
      notice: this.notice.getSnapshot(),
      outbox: this.outbox,
      aliases: [...this.#aliases],
      chats: [...this.chats.values()],
    };
  }

  load(dump: Dump): void {
    this.outbox = dump.outbox;
    this.chats.clear();
    this.#aliases.clear();
    this.#heard.clear();
    for (const [local, id] of dump.aliases) this.#aliases.set(local, id);
    for (const chat of dump.chats) this.store(chat);
    for (const [id, cell] of this.#cells) cell.set(this.chat(id));
    this.#list();
    this.#introduce(dump);
    this.self.set(dump.self);
    this.notice.set(dump.notice);
    this.status.set(dump.status);
  }

  protected connected(reply: ConnectReply): void {
    const { kind, subject: id, name, role } = reply;
    this.self.set({ kind, id, name, role });
    for (const opened of reply.conversations ?? []) this.adopt(opened);
  }

  protected frame(frame: Frame): void {
    switch (frame.type) {
      case "entry":
        return this.#entry(frame);
      case "read":
      case "delivered":
        return this.change(frame.conversation, (chat) => marked(chat, frame.type, frame.by.kind === "agent" ? "agent" : "visitor", frame.seq));
      case "typing":
        if (this.own(frame.by)) return;
        return this.change(frame.conversation, (chat) => typed(chat, this.named(chat, frame.by), frame.on, frame.text));
      case "queue":
        return this.change(frame.conversation, (chat) => queued(chat, { position: frame.position, eta_ms: frame.eta_ms }));
      case "notice":
        return this.notice.set({ level: frame.level, text: frame.text });
      // Anything else is of a newer version, or an error that answers a signal, for whose answer nobody waits.
    }
  }

  protected reply(command: ReadCommand, reply: Reply): void {
    if (command.type === "history") this.#history(command, reply as unknown as HistoryPage);
  }

  protected reset(): void {
    const lost = this.outbox;
    this.outbox = [];
    this.chats.clear();
    this.#aliases.clear();
    this.#heard.clear();
    this.self.set(null);
    this.#list();
    for (const cell of this.#cells.values()) cell.set(undefined);
    const outcome: Outcome = { ok: false, error: { code: "discarded", message: "another person is here now" } };
    for (const { key } of lost) tell(this.outcomes, { key, outcome });
  }

  /** Whether this is oneself; for a visitor, any visitor of its conversations is. */
  own(by: Sender): boolean {
    return by.kind === this.kind && (this.kind === "visitor" || by.id === this.self.getSnapshot()?.id);
  }

  /** A sender with a name, where the frame brought only an id. */
  protected named(chat: Conversation, by: Sender): Sender {
    const name = chat.assignee?.id === by.id ? chat.assignee?.name : undefined;
    return name === undefined ? by : { ...by, name };
  }

  /** A visitor hears of all its conversations; an agent only of those that it asked for. */
  protected welcomes(_conversation: string): boolean {
    return this.kind === "visitor";
  }

  /** Takes over a conversation as the server describes it. */
  protected adopt(opened: Opened): void {
    const { conversation: id, entries = [] } = opened;
    const old = this.chats.get(id);
    const sameLog = old?.epoch === opened.epoch;
    const base = old && sameLog && opened.resumed !== false ? old : this.#emptied(id, opened.epoch, old);
    const { chat } = absorb(base, entries);
    if (!sameLog) this.#forget(id);
    this.#hear(id, "thread", opened.seq);
    this.#hear(id, "desk", opened.desk_seq ?? 0);
    this.store(described(chat, opened));
    const news = old && sameLog ? entries.filter((entry) => entry.seq > old[laneOf(entry)].last) : [];
    this.#announce(id, old ? news : entries, !!old);
    this.#mend(id);
  }

  #introduce({ profile, owner, resume }: Pick<Dump, "profile" | "owner" | "resume">): void {
    this.owner = owner;
    this.resume = resume;
    this.profile.set(profile);
  }

  #emptied(id: string, epoch: string, old: Conversation | undefined): Conversation {
    if (!old) return blank(id, epoch, false);
    return { ...old, epoch, thread: NO_ENTRIES, desk: NO_ENTRIES };
  }

  #entry(frame: EntryFrame): void {
    const { conversation: id } = frame;
    const lane = laneOf(frame);
    this.#hear(id, lane, frame.seq);
    this.#recognise(frame);
    const chat = this.chats.get(id) ?? (this.welcomes(id) ? { ...blank(id, frame.epoch, false), live: true, [lane]: laneAt(frame.seq - 1) } : undefined);
    if (!chat) return;
    if (chat.epoch !== frame.epoch) {
      this.#forget(id);
      this.#hear(id, lane, frame.seq);
      this.store(this.#emptied(id, frame.epoch, chat));
    } else if (frame.seq === chat[lane].last + 1) {
      this.store(absorb(chat, [frame]).chat);
      this.#announce(id, [frame], true);
    }
    this.#mend(id);
  }

  /** One's own `open` may come back as an entry before it is acknowledged. */
  #recognise(frame: EntryFrame): void {
    if (!frame.key || this.chats.has(frame.conversation)) return;
    const opener = this.outbox.find((item) => item.key === frame.key && item.command.type === "open");
    if (opener) this.#bind(opener.conversation, { ...blank(frame.conversation, frame.epoch, false), live: true });
  }

  #history(command: Extract<ReadCommand, { type: "history" }>, page: HistoryPage): void {
    const { conversation: id, before } = command;
    const lane = laneOf(command);
    const chat = this.chats.get(id);
    if (!chat) return;
    if (before !== undefined) return this.store({ ...chat, [lane]: prepend(chat[lane], page.entries, page.more) });
    const { chat: next, fresh } = absorb(chat, page.entries);
    this.store(next);
    this.#announce(id, fresh, chat.live && chat[lane].last > 0);
    this.#mend(id);
  }

  #put(item: OutboxItem, instead = item.key): void {
    const at = this.outbox.findIndex(({ key }) => key === instead);
    const placed = { ...item, conversation: this.resolve(item.conversation) };
    this.outbox = at < 0 ? [...this.outbox, placed] : this.outbox.map((old, i) => (i === at ? placed : old));
    const { conversation: id, command } = placed;
    // A new conversation; or one that a visitor wrote into before the page was loaded again, of which more comes with the connection.
    const first = (command.type === "open" && isLocal(id)) || (this.welcomes(id) && isText(item));
    if (first && !this.chats.has(id)) this.store(blank(id, "", isLocal(id)));
    else this.#repend(id);
  }

  #settle(key: string, outcome: Outcome): void {
    const item = this.outbox.find((other) => other.key === key);
    if (item?.command.type === "send" && !outcome.ok && outcome.error.code === "not_found" && this.kind === "visitor") return this.#beginAnew(item, item.command.body);
    if (item && outcome.ok) this.#acknowledged(item, outcome.reply);
    else if (item && !outcome.ok && isText(item)) this.#put({ ...item, state: "failed", error: outcome.error });
    else if (item) this.#remove(key);
    tell(this.outcomes, { key, outcome });
  }

  /** A visitor's conversation is gone from the server, which went back to a backup from before: what it says begins another. */
  #beginAnew({ key, conversation: gone }: OutboxItem, body: { readonly text: string }): void {
    const conversation = localId(key);
    const moved = (item: OutboxItem): OutboxItem => (item.key === key ? { ...item, conversation, state: "queued", command: { type: "open", body } } : { ...item, conversation });
    this.outbox = this.outbox.map((item) => (item.conversation === gone ? moved(item) : item));
    this.#aliases.set(gone, conversation);
    this.drop(gone);
    this.store(blank(conversation, "", true));
  }

  #acknowledged(item: OutboxItem, reply: Reply): void {
    const seq = Number(reply["seq"] ?? 0);
    if (item.command.type === "open") this.#opened(item, reply as unknown as Opened);
    const id = this.resolve(item.conversation);
    const chat = this.chats.get(id);
    if (!isText(item) || !chat?.live || chat[item.lane].last >= seq) return this.#remove(item.key);
    this.#put({ ...item, conversation: id, state: "sent", seq });
    // A repeated write has had its echo before; it may have been while nobody listened here.
    if (reply["duplicate"]) {
      this.#hear(id, item.lane, seq);
      this.#mend(id);
    }
  }

  #opened(item: OutboxItem, reply: Opened): void {
    const { conversation: id, epoch } = reply;
    const chat = this.chats.get(id) ?? { ...blank(id, epoch, false), live: true };
    // What was heard since the answer was written knows better than the answer.
    const told = chat.thread.last > 1 ? chat : described(chat, reply);
    if (this.resolve(item.conversation) === id) this.store(told);
    else this.#bind(item.conversation, told);
  }

  /** From now on the local id means this conversation. */
  #bind(local: string, chat: Conversation): void {
    this.#aliases.set(local, chat.id);
    this.chats.delete(local);
    this.outbox = this.outbox.map((item) => (item.conversation === local ? { ...item, conversation: chat.id } : item));
    this.store(chat);
    this.#list();
  }

  #remove(key: string): void {
    const item = this.outbox.find((other) => other.key === key);
    if (!item) return;
    this.outbox = this.outbox.filter((other) => other !== item);
    const chat = this.chats.get(item.conversation);
    const orphan = chat?.local && !this.outbox.some(({ conversation }) => conversation === item.conversation);
    if (orphan) this.drop(item.conversation);
    else this.#repend(item.conversation);
  }

  protected drop(id: string): void {
    this.chats.delete(id);
    this.#forget(id);
    this.#show(id, undefined);
    if (!this.#cells.get(id)?.observed) this.#cells.delete(id);
    this.#list();
  }

  protected observed(id: string): boolean {
    return this.#cells.get(id)?.observed ?? false;
  }

  protected change(id: string, how: (chat: Conversation) => Conversation): void {
    const chat = this.chats.get(id);
    const next = chat && how(chat);
    if (next && next !== chat) this.store(next);
  }

  /** Keeps a conversation's new state, with what follows from it, and shows it. */
  protected store(chat: Conversation): void {
    const isNew = !this.chats.has(chat.id);
    this.#dropEchoed(chat);
    const whole = { ...chat, pending: this.#pendingOf(chat), unread: unread(chat, this.kind) };
    this.chats.set(chat.id, whole);
    this.#show(chat.id, whole);
    if (isNew) this.#list();
    this.#count();
    if (whole.typing.length > 0) this.#sweepLater();
  }

  #repend(id: string): void {
    this.change(id, (chat) => ({ ...chat }));
  }

  /** An acknowledged write whose entry is here has done its part. */
  /** Nobody will send the entries of acknowledged writes to a conversation that is not listened to. */
  protected dropSent(id: string): void {
    this.outbox = this.outbox.filter((item) => item.conversation !== id || item.state !== "sent");
  }

  #dropEchoed(chat: Conversation): void {
    const done = (item: OutboxItem) => item.conversation === chat.id && item.state === "sent" && (item.seq ?? 0) <= chat[item.lane].last;
    if (this.outbox.some(done)) this.outbox = this.outbox.filter((item) => !done(item));
  }

  #pendingOf(chat: Conversation): readonly Pending[] {
    const pending = this.outbox.filter((item) => item.conversation === chat.id && isText(item) && !hasKey(chat[item.lane], item.key));
    const unchanged = pending.length === chat.pending.length && pending.every((item, i) => item === chat.pending[i]);
    return unchanged ? chat.pending : pending;
  }

  #show(id: string, chat: Conversation | undefined): void {
    this.#cells.get(id)?.set(chat);
    for (const known of this.#aliases.keys()) if (this.resolve(known) === id) this.#cells.get(known)?.set(chat);
  }

  #list(): void {
    if (this.kind === "agent") return;
    const newest = (a: Conversation, b: Conversation) => Number(b.local) - Number(a.local) || (a.id < b.id ? 1 : -1);
    this.conversations.set([...this.chats.values()].sort(newest).map(({ id }) => id));
    this.#count();
  }

  #count(): void {
    if (this.kind === "agent") return;
    let sum = 0;
    for (const chat of this.chats.values()) sum += chat.unread;
    this.unread.set(sum);
  }

  #announce(conversation: string, entries: readonly Entry[], live: boolean): void {
    for (const entry of entries) tell(this.arrivals, { conversation, entry, own: this.own(entry.from), live });
  }

  #hear(id: string, lane: LaneName, seq: number): void {
    if (seq > (this.#heard.get(id + lane) ?? 0)) this.#heard.set(id + lane, seq);
  }

  #forget(id: string): void {
    this.#heard.delete(`${id}thread`);
    this.#heard.delete(`${id}desk`);
  }

  #mend(id: string): void {
    for (const lane of ["thread", "desk"] as const) if (this.hole(id, lane)) this.onHole?.(id, lane);
  }

  #sweepLater(): void {
    this.#sweep ??= setTimeout(() => {
      this.#sweep = undefined;
      for (const chat of [...this.chats.values()]) {
        this.change(chat.id, (current) => stillTyping(current, Date.now()));
        if (this.chats.get(chat.id)!.typing.length > 0) this.#sweepLater();
      }
    }, 1_000);
  }
}


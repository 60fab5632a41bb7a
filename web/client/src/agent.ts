/** An agent's session: the console's side of the client. */
import { AgentModel } from "./agent_model.ts";
import { thisBrowser, type Browser } from "./browser.ts";
import { Cell } from "./cell.ts";
import type { DeskbellError } from "./errors.ts";
import { post } from "./http.ts";
import { InboxView, type PageOfIds } from "./inbox.ts";
import type { OutboxItem } from "./model.ts";
import { Session } from "./session.ts";
import type { AgentProfile, Conversation, Failure, Readable, Write } from "./state.ts";
import { timeline } from "./timeline.ts";
import type { AgentAvailability, AgentInfo, AgentTokenReply, Counts, Frame, Head, InboxFilter, InboxPage, Opened } from "./wire.ts";

export { InboxView, timeline };
export type { InboxList } from "./inbox.ts";

export interface AgentOptions {
  /** Default: where the page came from. */
  readonly server?: string;
  /** Where unsent texts may be kept; default `tab`. Only with `none` each tab has a socket of its own. */
  readonly storage?: "none" | "tab" | "device";
  readonly browser?: Browser;
}

interface AgentOffer {
  readonly outbox: readonly OutboxItem[];
  readonly watches: readonly string[];
}

const HEADS = 50;
const PREFETCHED = 30;
/** Pushed heads bring no counts; this long after the first of them the counts are asked for. */
const RECOUNT_MS = 300;

export class Agent extends Session<AgentModel> {
  readonly #online = new Cell(false);
  /** How often each conversation is watched in this tab. */
  readonly #watches = new Map<string, number>();
  /** As leader: what each tab watches, and what the server was asked for. */
  readonly #desires = new Map<string, readonly string[]>();
  readonly #watched = new Set<string>();
  /** As leader: of which heads the server was told that this device has them. */
  readonly #notified = new Map<string, number>();
  #telling = false;
  #recount: ReturnType<typeof setTimeout> | undefined;

  constructor({ server = location.origin, storage = "tab", browser = thisBrowser() }: AgentOptions = {}) {
    super(new AgentModel(), { server, name: `deskbell:${server}:agent`, storage, client: "console", browser });
    this.status.subscribe(() => this.#online.set(this.status.getSnapshot().state === "online"));
  }

  /** `null` and the status `stopped` with `unauthorized`: nobody is signed in. */
  get profile(): Readable<AgentProfile | null> {
    return this.model.profile as Readable<AgentProfile | null>;
  }

  /** All colleagues, oneself included. */
  get agents(): Readable<readonly AgentInfo[]> {
    return this.model.agents;
  }

  get counts(): Readable<Counts> {
    return this.model.counts;
  }

  head(id: string): Readable<Head | undefined> {
    return this.model.heads.cell(id);
  }

  /** Why a conversation can't be watched, e.g. because there is none with this id. */
  refusal(id: string): Readable<Failure | undefined> {
    return this.model.refusal(id);
  }

  /** Signs in and connects. Rejects as `unauthorized` or `rate_limited`. */
  async login(email: string, password: string): Promise<void> {
    await post(this.browser.fetch, `${this.server}/v1/agents/login`, { email, password }, "same-origin");
    this.fire("start");
  }

  /** Signs out in all tabs. */
  async logout(): Promise<void> {
    await post(this.browser.fetch, `${this.server}/v1/agents/logout`, undefined, "same-origin");
    await this.call("signout");
  }

  /** A list that stays up to date until it is disposed of. */
  view(filter: InboxFilter): InboxView {
    return new InboxView(
      {
        heads: this.model.heads,
        me: () => this.self.getSnapshot()?.id,
        online: this.#online,
        query: (asked, before) => this.call("inbox", { filter: asked, before }) as Promise<PageOfIds>,
      },
      filter,
    );
  }

  /** Subscribes to a conversation until the function that it returns is called. */
  watch(id: string): () => void {
    this.#watches.set(id, (this.#watches.get(id) ?? 0) + 1);
    this.#tellWatches();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = this.#watches.get(id)! - 1;
      if (left > 0) this.#watches.set(id, left);
      else this.#watches.delete(id);
      this.#tellWatches();
    };
  }

  /** Has the newest entries here, so that opening the conversation shows them at once; colleagues do not see one viewing it. */
  async prefetch(id: string): Promise<void> {
    await this.call("prefetch", id);
  }

  note(id: string, text: string): Write {
    return this.write({ type: "note", conversation: id, body: { text } }, id, "desk");
  }

  /** To an agent, to `me` (only what nobody has), or with `null` back to the line. */
  assign(id: string, to: string | null): Write {
    return this.write({ type: "assign", conversation: id, to }, id);
  }

  async availability(status: AgentAvailability): Promise<void> {
    await this.call("availability", status);
  }

  /** Shuts a conversation's visitor out of the project, or lets it in again. */
  async ban(id: string, on: boolean): Promise<void> {
    await this.call("ban", { conversation: id, on });
  }

  protected override async getToken(): Promise<string> {
    const url = `${this.server}/v1/agents/token`;
    try {
      const { token, agent, project, public_url } = await post<AgentTokenReply>(this.browser.fetch, url, undefined, "same-origin");
      const { owner } = this.model;
      if (owner !== "" && owner !== agent.id) this.dispatch({ a: "reset" });
      this.dispatch({ a: "profile", profile: { agent, project, public_url }, owner: agent.id, resume: "" });
      return token;
    } catch (error) {
      if ((error as DeskbellError).code === "unauthorized") this.dispatch({ a: "profile", profile: null, owner: this.model.owner, resume: "" });
      throw error;
    }
  }

  protected override async perform(tab: string, op: string, argument: unknown): Promise<unknown> {
    switch (op) {
      case "watch":
        return this.#desire(tab, argument as readonly string[]);
      case "inbox":
        return this.#inbox(argument as { filter: InboxFilter; before?: string });
      case "prefetch":
        return this.#prefetch(argument as string);
      case "availability":
        return this.#available(argument as AgentAvailability);
      case "ban":
        return void (await this.raw({ type: "ban", ...(argument as { conversation: string; on: boolean }) }));
      case "signout":
        return this.#signOut();
      default:
        return super.perform(tab, op, argument);
    }
  }

  protected override led(): void {
    this.#desires.clear();
    this.#desires.set(this.tab, [...this.#watches.keys()]);
  }

  protected override connected(): void {
    this.#watched.clear();
    this.#notified.clear();
    this.#reconcile();
    const { wanted } = this.model;
    if (wanted) this.raw({ type: "availability", status: wanted }).catch(() => {});
  }

  protected override offer(): AgentOffer {
    return { ...(super.offer() as AgentOffer), watches: [...this.#watches.keys()] };
  }

  protected override joined(tab: string, offer: unknown): void {
    super.joined(tab, offer);
    this.#desire(tab, (offer as AgentOffer).watches);
  }

  protected override gone(tab: string): void {
    this.#desires.delete(tab);
    this.#reconcile();
  }

  protected override heard(frame: Frame): void {
    const before = frame.type === "inbox" ? this.model.heads.get(frame.conversation.conversation) : undefined;
    super.heard(frame);
    if (frame.type !== "inbox") return;
    this.#noted(frame.conversation);
    this.#lookAnew(frame.conversation);
    const { status, assignee } = frame.conversation;
    if (before?.status !== status || before.assignee !== assignee) this.#recount ??= setTimeout(() => void this.#countAgain(), RECOUNT_MS);
  }

  /** Of what one has, or anybody may take, a new message has arrived with its head. */
  #noted({ conversation, seq, unread, assignee }: Head): void {
    const mine = assignee === null || assignee === this.self.getSnapshot()?.id;
    // What is watched says so by its entries; of what is read there is nothing more to say.
    if (!mine || unread === 0 || this.#watched.has(conversation) || (this.#notified.get(conversation) ?? 0) >= seq) return;
    this.#notified.set(conversation, seq);
    this.mark("delivered", { conversation, seq });
  }

  /** Somebody the site knows turned out to be the visitor of what is watched: its card is another. */
  #lookAnew({ conversation, visitor }: Head): void {
    const known = this.model.chat(conversation)?.visitor;
    if (known && known.id !== visitor.id && this.#watched.has(conversation)) void this.#watch(conversation);
  }

  async #countAgain(): Promise<void> {
    this.#recount = undefined;
    const one = { type: "inbox", filter: { status: "open", assignee: "me" }, limit: 1 } as const;
    const reply = await this.raw(one).catch(() => undefined);
    if (reply) this.dispatch({ a: "heads", heads: [], counts: reply["counts"] as Counts, stale: [] });
  }

  /** Loads the lane that ends first, until the person sees something new. */
  protected override async older(chat: Conversation): Promise<boolean> {
    const shown = timeline(chat).length;
    for (let now: Conversation | undefined = chat; now && timeline(now).length === shown; now = this.model.chat(chat.id)) {
      const { thread, desk } = now;
      if (!thread.older && !desk.older) return false;
      const deskFirst = desk.older && (!thread.older || (desk.entries[0]?.at ?? Infinity) > (thread.entries[0]?.at ?? Infinity));
      await this.pageBefore(now, deskFirst ? "desk" : "thread");
    }
    const now = this.model.chat(chat.id);
    return !!now && (now.thread.older || now.desk.older);
  }

  /** What is released and taken again in one turn, as when a view changes, stays watched. */
  #tellWatches(): void {
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      this.fire("watch", [...this.#watches.keys()]);
    });
  }

  #desire(tab: string, ids: readonly string[]): void {
    this.#desires.set(tab, ids);
    this.#reconcile();
  }

  #reconcile(): void {
    if (!this.connection?.online) return;
    const wanted = new Set([...this.#desires.values()].flat());
    for (const id of [...this.#watched]) if (!wanted.has(id)) this.#unwatch(id);
    for (const id of wanted) if (!this.#watched.has(id)) void this.#watch(id);
  }

  async #watch(id: string): Promise<void> {
    this.#watched.add(id);
    const chat = this.model.chat(id);
    const position = chat?.epoch ? { epoch: chat.epoch, seq: chat.thread.last, desk_seq: chat.desk.last } : {};
    const command = { type: "watch", conversation: id, ...position } as const;
    try {
      const reply = await this.raw(command);
      if (!this.#watched.has(id)) return;
      this.dispatch({ a: "reply", command, reply });
      this.remark(reply as unknown as Opened);
    } catch (error) {
      this.#unwatchable(id, error as DeskbellError);
    }
  }

  #unwatchable(id: string, { code, message, retryMs }: DeskbellError): void {
    // Every connect watches anew.
    if (code === "offline" || !this.#watched.delete(id)) return;
    if (retryMs !== undefined) setTimeout(() => this.#reconcile(), retryMs);
    else this.dispatch({ a: "refused", conversation: id, failure: { code, message } });
  }

  #unwatch(id: string): void {
    this.#watched.delete(id);
    this.dispatch({ a: "unwatched", conversation: id });
    this.raw({ type: "unwatch", conversation: id }).catch(() => {});
  }

  async #inbox({ filter, before }: { filter: InboxFilter; before?: string }): Promise<PageOfIds> {
    const { heads } = this.model;
    const since = heads.stamp;
    const command = { type: "inbox", filter, limit: HEADS, before } as const;
    const reply = (await this.raw(command)) as unknown as InboxPage;
    const me = this.self.getSnapshot()?.id;
    const stale = before === undefined ? heads.missing(filter, reply.heads, reply.cursor === undefined, me, since) : [];
    this.dispatch({ a: "heads", heads: reply.heads, counts: reply.counts, stale });
    reply.heads.forEach((head) => this.#noted(head));
    return { ids: reply.heads.map(({ conversation }) => conversation), cursor: reply.cursor };
  }

  async #prefetch(id: string): Promise<void> {
    const head = this.model.heads.get(id);
    const chat = this.model.chat(id);
    const current = chat && head && chat.thread.last >= head.seq && chat.desk.last >= head.desk_seq;
    if (!head || chat?.live || current) return;
    this.dispatch({ a: "prepared", head });
    const newest = { type: "history", conversation: id, limit: PREFETCHED } as const;
    await Promise.all([this.ask(newest), this.ask({ ...newest, lane: "desk" })]);
  }

  async #available(status: AgentAvailability): Promise<void> {
    this.dispatch({ a: "availability", status });
    await this.raw({ type: "availability", status });
  }

  #signOut(): void {
    this.connection?.forgetToken();
    this.connection?.stop("unauthorized");
    this.dispatch({ a: "reset" });
    this.dispatch({ a: "profile", profile: null, owner: "", resume: "" });
    this.vault.wipe();
  }
}

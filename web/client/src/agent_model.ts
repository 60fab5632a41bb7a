/** What an agent's browser knows beyond the conversations: colleagues, inbox, who views what. */
import { Cell } from "./cell.ts";
import { blank } from "./chat.ts";
import { Heads } from "./inbox.ts";
import { trim } from "./lane.ts";
import { Model, type AgentAction, type Dump } from "./model.ts";
import type { Conversation, Failure } from "./state.ts";
import type { AgentInfo, ConnectReply, Counts, Frame, Head, Opened, ReadCommand, Sender } from "./wire.ts";

interface AgentDump extends Dump {
  readonly agents: readonly AgentInfo[];
  readonly counts: Counts;
  readonly heads: readonly Head[];
  readonly wanted: "online" | "away" | undefined;
}

/** How many conversations are kept that nobody looks at. */
const KEPT_CHATS = 200;
/** How many entries of each lane are kept of a conversation that is no longer watched. */
const KEPT_ENTRIES = 50;
const NO_COUNTS: Counts = { mine: 0, unassigned: 0, open: 0 };

export class AgentModel extends Model {
  readonly agents = new Cell<readonly AgentInfo[]>([]);
  readonly counts = new Cell<Counts>(NO_COUNTS);
  readonly heads = new Heads();
  /** The availability that the agent chose here. */
  wanted: "online" | "away" | undefined;
  readonly #refusals = new Map<string, Cell<Failure | undefined>>();

  constructor() {
    super("agent");
  }

  refusal(id: string): Cell<Failure | undefined> {
    let cell = this.#refusals.get(id);
    if (!cell) this.#refusals.set(id, (cell = new Cell<Failure | undefined>(undefined)));
    return cell;
  }

  protected override connected(reply: ConnectReply): void {
    // Watches end with their connection.
    for (const chat of [...this.held()]) this.change(chat.id, (current) => ({ ...current, live: false, viewing: [] }));
    super.connected(reply);
    if (Array.isArray(reply.agents)) this.agents.set(reply.agents);
  }

  protected override frame(frame: Frame): void {
    if (frame.type === "inbox") {
      this.heads.put(frame.conversation);
    } else if (frame.type === "viewing") {
      this.change(frame.conversation, (chat) => ({ ...chat, viewing: frame.agents }));
    } else if (frame.type === "presence" && "agent" in frame) {
      const { agent, status, load } = frame;
      // A server of the version before does not say how many it takes.
      const changed = (info: AgentInfo) => ({ ...info, status, load, capacity: frame.capacity ?? info.capacity });
      this.agents.set(this.agents.getSnapshot().map((info) => (info.id === agent ? changed(info) : info)));
    } else {
      super.frame(frame);
      if (frame.type === "entry" && (frame.event === "banned" || frame.event === "unbanned")) this.#banned(frame.conversation, frame.event === "banned");
    }
  }

  #banned(id: string, banned: boolean): void {
    this.change(id, (chat) => (chat.visitor ? { ...chat, visitor: { ...chat.visitor, banned } } : chat));
  }

  protected override reply(command: ReadCommand, reply: Readonly<Record<string, unknown>>): void {
    if (command.type !== "watch") return super.reply(command, reply);
    this.#refusals.get(command.conversation)?.set(undefined);
    this.adopt(reply as unknown as Opened);
  }

  protected override applyMore(action: AgentAction): void {
    switch (action.a) {
      case "heads":
        for (const id of action.stale) this.heads.remove(id);
        for (const head of action.heads) this.heads.put(head);
        return this.counts.set(action.counts);
      case "prepared":
        return this.#prepare(action.head);
      case "unwatched":
        return this.#unwatched(action.conversation);
      case "refused":
        return this.refusal(action.conversation).set(action.failure);
      case "availability":
        this.wanted = action.status;
    }
  }

  protected override named(chat: Conversation, by: Sender): Sender {
    const name = by.kind === "agent" ? this.agents.getSnapshot().find(({ id }) => id === by.id)?.name : chat.visitor?.name;
    return name === undefined ? by : { ...by, name };
  }

  protected override store(chat: Conversation): void {
    super.store(chat);
    if (this.chats.size > KEPT_CHATS) this.#evict();
  }

  protected override reset(): void {
    super.reset();
    this.heads.load([]);
    this.agents.set([]);
    this.counts.set(NO_COUNTS);
    this.wanted = undefined;
    for (const cell of this.#refusals.values()) cell.set(undefined);
  }

  override dump(): AgentDump {
    const { agents, counts, heads, wanted } = this;
    return { ...super.dump(), agents: agents.getSnapshot(), counts: counts.getSnapshot(), heads: heads.all(), wanted };
  }

  override load(dump: AgentDump): void {
    this.agents.set(dump.agents);
    this.counts.set(dump.counts);
    this.wanted = dump.wanted;
    super.load(dump);
    this.heads.load(dump.heads);
  }

  #prepare({ conversation: id, epoch, status }: Head): void {
    const chat = this.chats.get(id);
    if (!chat || chat.epoch !== epoch) this.store({ ...blank(id, epoch, false), status });
  }

  #unwatched(id: string): void {
    this.dropSent(id);
    this.change(id, (chat) => ({
      ...chat,
      live: false,
      viewing: [],
      typing: [],
      thread: trim(chat.thread, KEPT_ENTRIES),
      desk: trim(chat.desk, KEPT_ENTRIES),
    }));
  }

  #evict(): void {
    for (const chat of [...this.chats.values()]) {
      if (this.chats.size <= KEPT_CHATS) return;
      if (!chat.live && chat.pending.length === 0 && !this.observed(chat.id)) this.drop(chat.id);
    }
  }
}

/** Enough of a Deskbell server to talk to, in memory and on fake time. */
import type { Entry, Head } from "../../src/wire.ts";

export type Json = Record<string, any>;
type Handler = (command: Json, socket: FakeSocket) => Json | undefined;

/** How long a frame travels, in ms of fake time. */
const TRIP_MS = 1;

export interface FakeConversation {
  epoch: string;
  status: "open" | "closed";
  thread: Entry[];
  desk: Entry[];
  read: { visitor: number; agent: number };
  delivered: { visitor: number; agent: number };
}

export class FakeSocket {
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  /** What the client sent, frame by frame, each a batch of objects. */
  readonly batches: Json[][] = [];
  readonly server: FakeServer;
  readonly url: string;
  readonly protocol: string;
  closedBy: "client" | "server" | null = null;

  constructor(server: FakeServer, url: string, protocol: string) {
    this.server = server;
    this.url = url;
    this.protocol = protocol;
    server.sockets.push(this);
    setTimeout(() => {
      if (this.readyState !== 0) return;
      if (server.down) return this.drop(1006);
      if (server.deaf) return;
      this.readyState = 1;
      this.onopen?.();
    }, TRIP_MS);
  }

  get received(): Json[] {
    return this.batches.flat();
  }

  send(text: string): void {
    if (this.readyState !== 1) return;
    const batch = text.split("\n").map((line) => JSON.parse(line) as Json);
    this.batches.push(batch);
    setTimeout(() => {
      if (this.readyState === 1) for (const object of batch) this.server.receive(this, object);
    }, TRIP_MS);
  }

  close(): void {
    this.readyState = 3;
    this.closedBy ??= "client";
  }

  /** The server says something, or several things in one frame. */
  say(...objects: Json[]): void {
    this.sayRaw(objects.map((object) => JSON.stringify(object)).join("\n"));
  }

  sayRaw(data: string): void {
    setTimeout(() => this.readyState === 1 && this.onmessage?.({ data }), TRIP_MS);
  }

  /** The server, or the network, ends the connection. */
  drop(code: number, reason = ""): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.closedBy ??= "server";
    this.onclose?.({ code, reason });
  }
}

export class FakeServer {
  readonly sockets: FakeSocket[] = [];
  readonly conversations = new Map<string, FakeConversation>();
  readonly heads: Head[] = [];
  /** Bodies of `POST /v1/sessions`, or paths of the agents' endpoints. */
  readonly posts: Json[] = [];
  /** Answers instead of the usual handling; `undefined` handles as usual. */
  readonly overrides = new Map<string, Handler>();
  /** Nobody listens. */
  down = false;
  /** Connections open and then nothing comes. */
  deaf = false;
  /** Acks are lost, stored or not. */
  mute = false;
  kind: "visitor" | "agent" = "visitor";
  subject = "v1";
  /** The anonymous visitor whose conversations are now `subject`'s. */
  was: string | undefined;
  tokenTtlMs = 899_000;
  problem: { status: number; body: Json } | null = null;
  #ids = 0;
  #keys = new Map<string, Json>();
  #tokens = 0;

  /** The socket that was opened last. */
  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  get open(): FakeSocket[] {
    return this.sockets.filter(({ readyState }) => readyState === 1);
  }

  /** Every command of this type that any client sent. */
  commands(type: string): Json[] {
    return this.sockets.flatMap(({ received }) => received).filter((object) => object["type"] === type);
  }

  readonly fetch = (async (url: string, init: RequestInit) => {
    if (this.down) throw new TypeError("Failed to fetch");
    const body = init.body ? (JSON.parse(String(init.body)) as Json) : {};
    this.posts.push({ path: new URL(url).pathname, ...body });
    if (this.problem) return answer(this.problem.status, this.problem.body);
    const token = `token${++this.#tokens}`;
    if (url.endsWith("/v1/agents/token")) {
      return answer(200, { token, agent: { id: this.subject, name: "Grace", email: "g@x", role: "agent", capacity: 5 }, project: { id: "p", name: "P", public_key: "pk", origins: [] }, public_url: "https://x" });
    }
    if (url.includes("/v1/agents/")) return answer(204, undefined);
    return answer(201, { token, expires_at: 0, resume: `resume-${this.subject}`, visitor: { id: this.subject, identified: this.was !== undefined, was: this.was }, project: { id: "p", name: "Shop", online: true, sneak_peek: true } });
  }) as unknown as typeof fetch;

  begin(id: string, texts: string[] = [], from: Entry["from"] = { kind: "agent", id: "a1", name: "Grace" }): FakeConversation {
    const conversation: FakeConversation = { epoch: "k1", status: "open", thread: [], desk: [], read: { visitor: 0, agent: 0 }, delivered: { visitor: 0, agent: 0 } };
    this.conversations.set(id, conversation);
    for (const text of texts) this.append(id, { event: "message", body: { text }, from }, false);
    return conversation;
  }

  /** Writes an entry and, unless it is to be missed, tells everybody. */
  append(id: string, event: Json, tell = true): Entry {
    const conversation = this.conversations.get(id)!;
    const lane = event["lane"] === "desk" ? conversation.desk : conversation.thread;
    const entry = { seq: lane.length + 1, prev: lane.length, entry: `e${++this.#ids}`, at: Date.now(), conversation: id, epoch: conversation.epoch, ...event } as unknown as Entry;
    lane.push(entry);
    if (tell) for (const socket of this.open) socket.say({ type: "entry", ...entry });
    return entry;
  }

  say(text: string, id: string, tell = true): Entry {
    return this.append(id, { event: "message", body: { text }, from: { kind: "agent", id: "a1", name: "Grace" } }, tell);
  }

  receive(socket: FakeSocket, command: Json): void {
    const override = this.overrides.get(command["type"])?.(command, socket);
    const reply = override ?? this.#handle(command);
    if (!reply || command["id"] === undefined || this.mute || reply["silent"]) return;
    socket.say({ type: "ok", ...reply, id: command["id"] });
  }

  #handle(command: Json): Json | undefined {
    switch (command["type"]) {
      case "connect":
        return this.#connect(command);
      case "open":
        return this.#write(command, () => this.#open(command));
      case "send":
        return this.#write(command, () => this.#append(command, "message"));
      case "note":
        return this.#write(command, () => this.#append({ ...command, lane: "desk" }, "note"));
      case "close":
        return this.#write(command, () => this.#close(command));
      case "history":
        return this.#history(command);
      case "watch":
        return this.#watch(command);
      case "inbox":
        return { heads: this.heads, counts: { mine: 0, unassigned: this.heads.length, open: this.heads.length } };
      case "refresh":
        return { token_ttl_ms: this.tokenTtlMs };
      default:
        return {};
    }
  }

  #connect({ resume = [] }: Json): Json {
    const conversations = this.kind === "agent" ? [] : [...this.conversations].map(([id, it]) => this.#resumed(id, it, resume.find((r: Json) => r["conversation"] === id)));
    const agents = this.kind === "agent" ? [{ id: this.subject, name: "Grace", role: "agent", status: "online", load: 0, capacity: 5 }] : { online: 1 };
    return {
      session: "s", kind: this.kind, subject: this.subject, heartbeat_ms: 25_000, token_ttl_ms: this.tokenTtlMs, max_frame_bytes: 65_536, reconnect_window_ms: 5_000,
      agents, conversations,
    };
  }

  #resumed(id: string, it: FakeConversation, position: Json | undefined): Json {
    const resumed = position !== undefined && position["epoch"] === it.epoch && it.thread.length - position["seq"] <= 300;
    const entries = resumed ? it.thread.slice(position!["seq"]) : it.thread.slice(-50);
    return { conversation: id, epoch: it.epoch, seq: it.thread.length, status: it.status, read: it.read, delivered: it.delivered, entries, resumed };
  }

  #write(command: Json, carryOut: () => Json): Json {
    const known = this.#keys.get(command["key"]);
    if (known) return { ...known, duplicate: true };
    const reply = carryOut();
    this.#keys.set(command["key"], reply);
    return { ...reply, duplicate: false };
  }

  #open(command: Json): Json {
    const id = `c${this.conversations.size + 1}`;
    this.begin(id);
    return { ...this.#append({ ...command, conversation: id }, "message"), conversation: id, epoch: "k1", status: "open", read: { visitor: 0, agent: 0 }, delivered: { visitor: 0, agent: 0 } };
  }

  #append({ conversation, key, body, lane }: Json, event: string): Json {
    const entry = this.append(conversation, { event, body, key, ...(lane && { lane }), from: { kind: this.kind, id: this.subject } });
    return { seq: entry.seq, entry: entry.entry, at: entry.at };
  }

  #close({ conversation, key }: Json): Json {
    this.conversations.get(conversation)!.status = "closed";
    return { seq: this.append(conversation, { event: "closed", body: {}, key, from: { kind: this.kind, id: this.subject } }).seq };
  }

  #history({ conversation, lane = "thread", before, after, limit }: Json): Json {
    const all = this.conversations.get(conversation)![lane as "thread" | "desk"];
    if (after !== undefined) return { entries: all.slice(after, after + limit), more: all.length > after + limit };
    const until = before === undefined ? all.length : before - 1;
    return { entries: all.slice(Math.max(0, until - limit), until), more: until > limit };
  }

  #watch({ conversation: id, epoch, seq, desk_seq }: Json): Json {
    const it = this.conversations.get(id)!;
    const resumed = epoch === it.epoch && seq !== undefined;
    const entries = resumed ? [...it.thread.slice(seq), ...it.desk.slice(desk_seq)] : [...it.thread.slice(-50), ...it.desk.slice(-50)];
    return {
      conversation: id, epoch: it.epoch, status: it.status, seq: it.thread.length, desk_seq: it.desk.length, resumed, entries, read: it.read, delivered: it.delivered, assignee: null, viewing: [],
      visitor: { id: "v1", name: "Ada", identified: false, fields: {}, conversations: [] },
    };
  }
}

function answer(status: number, body: Json | undefined): Partial<Response> {
  return { ok: status < 300, status, json: async () => body };
}

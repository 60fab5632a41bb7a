/** What a client says of how far a conversation has come on its side. */
import { describe, expect, it } from "vitest";
import type { Head } from "../src/wire.ts";
import { connectedAgent, connectedVisitor, FakeServer, onFakeTime, pass } from "./fake/index.ts";

onFakeTime();

const VISITOR = { kind: "visitor", id: "v1" } as const;

const told = (server: FakeServer, type = "delivered") => server.commands(type).map(({ conversation, seq }) => `${conversation}/${seq}`);

function head(id: string, seq: number, more: Partial<Head> = {}): Head {
  return { conversation: id, epoch: "k1", status: "open", seq, desk_seq: 0, visitor: { id: `v-${id}` }, assignee: "a1", waiting_since: 1, unread: 1, preview: "hi", at: seq, ...more };
}

async function withThread(texts: string[]) {
  const server = new FakeServer();
  server.begin("c1", texts);
  const connected = await connectedVisitor(server);
  return { ...connected, chat: () => connected.visitor.conversation("c1").getSnapshot()! };
}

describe("a visitor's client", () => {
  it("says what arrived with the connection, and what arrives after it", async () => {
    const { server, chat } = await withThread(["1", "2"]);
    expect(told(server)).toEqual(["c1/2"]);
    expect(chat().delivered.visitor).toBe(2);
    server.say("3", "c1");
    await pass(1_100);
    expect(told(server)).toEqual(["c1/2", "c1/3"]);
  });

  it("says nothing of its own messages, nor of what the server knows it has", async () => {
    const server = new FakeServer();
    server.begin("c1", ["1", "2"]).delivered = { visitor: 2, agent: 0 };
    server.begin("c2", ["1"]).read = { visitor: 1, agent: 0 };
    const { visitor } = await connectedVisitor(server);
    visitor.send("c1", "mine");
    await pass(3_000);
    expect(told(server)).toEqual([]);
  });

  it("says the first at once and then the newest of each second", async () => {
    const { server } = await withThread(["1"]);
    await pass(5_000);
    server.say("2", "c1");
    await pass(50);
    expect(told(server)).toEqual(["c1/1", "c1/2"]);
    for (let seq = 3; seq <= 9; seq++) server.say(`${seq}`, "c1");
    await pass(900);
    expect(told(server)).toHaveLength(2);
    await pass(200);
    expect(told(server)).toEqual(["c1/1", "c1/2", "c1/9"]);
    await pass(10_000);
    expect(told(server)).toHaveLength(3);
  });

  it("says ten at once and the rest in the seconds after", async () => {
    const server = new FakeServer();
    for (let n = 1; n <= 25; n++) server.begin(`c${n}`, ["hi"]);
    await connectedVisitor(server);
    expect(told(server)).toHaveLength(10);
    await pass(1_000);
    expect(told(server)).toHaveLength(20);
    await pass(1_000);
    expect(new Set(told(server)).size).toBe(25);
  });

  it("says it again where the server has not heard it", async () => {
    const { server } = await withThread(["1"]);
    server.socket.drop(1006);
    await pass(2_000);
    expect(told(server)).toEqual(["c1/1", "c1/1"]);
  });

  it("says what was missed once it is healed", async () => {
    const { server } = await withThread(["1"]);
    server.say("2", "c1", false);
    server.append("c1", { event: "closed", body: {}, from: VISITOR });
    await pass(2_000);
    expect(told(server)).toEqual(["c1/1", "c1/2"]);
  });

  it("shows how far its own messages have come; nothing goes back, and an older server says less", async () => {
    const server = new FakeServer();
    server.begin("c1", ["1", "2", "3"]);
    server.overrides.set("connect", () => {
      server.overrides.delete("connect");
      const { thread } = server.conversations.get("c1")!;
      const conversations = [{ conversation: "c1", epoch: "k1", seq: 3, status: "open", resumed: false, entries: thread, read: { visitor: 3, agent: 1 } }];
      return { session: "s", kind: "visitor", subject: "v1", heartbeat_ms: 25_000, token_ttl_ms: 899_000, max_frame_bytes: 65_536, reconnect_window_ms: 5_000, agents: { online: 1 }, conversations };
    });
    const { visitor } = await connectedVisitor(server);
    const delivered = () => visitor.conversation("c1").getSnapshot()!.delivered;
    expect(delivered()).toEqual({ visitor: 3, agent: 1 });
    const mark = (seq: number) => ({ type: "delivered", conversation: "c1", by: { kind: "agent", id: "a1" }, seq });
    server.socket.say(mark(3), mark(2));
    await pass();
    expect(delivered()).toEqual({ visitor: 3, agent: 3 });
  });
});

describe("an agent's client", () => {
  it("says what arrives of a conversation that is watched, not its colleagues' answers", async () => {
    const server = new FakeServer();
    server.begin("c1", ["hello"], VISITOR);
    const { agent } = await connectedAgent(server);
    expect(told(server)).toEqual([]);
    agent.watch("c1");
    await pass();
    expect(told(server)).toEqual(["c1/1"]);
    server.append("c1", { event: "message", body: { text: "from a colleague" }, from: { kind: "agent", id: "a2" } });
    await pass(2_000);
    expect(told(server)).toEqual(["c1/1"]);
    server.append("c1", { event: "message", body: { text: "and?" }, from: VISITOR });
    await pass(2_000);
    expect(told(server)).toEqual(["c1/1", "c1/3"]);
  });

  it("says that it was told of a message by its head, once, where it is the agent's or nobody's", async () => {
    const server = new FakeServer();
    server.heads.push(head("c1", 4), head("c2", 1, { assignee: null }), head("c3", 1, { assignee: "a2" }), head("c4", 9, { unread: 0 }));
    const { agent } = await connectedAgent(server);
    agent.view({ assignee: "any" });
    await pass();
    expect(told(server)).toEqual(["c1/4", "c2/1"]);
    for (const desk_seq of [1, 2]) {
      server.socket.say({ type: "inbox", conversation: head("c1", 4, { desk_seq }) });
      await pass(2_000);
    }
    server.socket.say({ type: "inbox", conversation: head("c1", 5, { desk_seq: 2 }) });
    await pass(2_000);
    expect(told(server)).toEqual(["c1/4", "c2/1", "c1/5"]);
  });

  it("says nothing of a colleague's conversation that it only looks into", async () => {
    const server = new FakeServer();
    server.begin("c1", ["hello"], VISITOR);
    server.heads.push(head("c1", 1, { assignee: "a2" }));
    const { agent } = await connectedAgent(server);
    agent.view({ assignee: "any" });
    await pass();
    void agent.prefetch("c1");
    await pass(2_000);
    expect(agent.conversation("c1").getSnapshot()!.thread.last).toBe(1);
    expect(told(server)).toEqual([]);
  });

  it("leaves it to the entries where a conversation is watched", async () => {
    const server = new FakeServer();
    server.begin("c1", ["hello"], VISITOR);
    const { agent } = await connectedAgent(server);
    agent.watch("c1");
    await pass();
    server.socket.say({ type: "inbox", conversation: head("c1", 2, { visitor: { id: "v1" } }) });
    await pass(2_000);
    expect(told(server)).toEqual(["c1/1"]);
  });
});

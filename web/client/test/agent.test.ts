import { describe, expect, it, vi } from "vitest";
import { timeline } from "../src/agent.ts";
import type { Head } from "../src/wire.ts";
import { anAgent, connectedAgent, FakeServer, Machine, onFakeTime, pass, type Json } from "./fake/index.ts";

onFakeTime();

function head(id: string, at: number, more: Partial<Head> = {}): Head {
  return { conversation: id, epoch: "k1", status: "open", seq: 1, desk_seq: 0, visitor: { id: `v-${id}`, name: `Visitor ${id}` }, assignee: null, waiting_since: at, unread: 1, preview: "hi", at, ...more };
}

const visitorSays = (text: string): Json => ({ event: "message", body: { text }, from: { kind: "visitor", id: "v1", name: "Ada" } });
const noted = (text: string): Json => ({ lane: "desk", event: "note", body: { text }, from: { kind: "agent", id: "a2", name: "Hedy" } });

describe("signing in", () => {
  it("shows who is there, or that nobody is", async () => {
    const server = new FakeServer();
    server.problem = { status: 401, body: { code: "unauthorized" } };
    const { agent } = await connectedAgent(server);
    expect(agent.status.getSnapshot()).toMatchObject({ state: "stopped", reason: "unauthorized" });
    expect(agent.profile.getSnapshot()).toBeNull();
    server.problem = null;
    await agent.login("g@x", "secret");
    await pass();
    expect(agent.status.getSnapshot().state).toBe("online");
    expect(agent.profile.getSnapshot()?.agent.name).toBe("Grace");
    expect(agent.agents.getSnapshot()).toHaveLength(1);
  });

  it("rejects a wrong password with what the server says", async () => {
    const { server, agent } = await connectedAgent();
    server.problem = { status: 401, body: { code: "unauthorized", detail: "wrong password" } };
    await expect(agent.login("g@x", "no")).rejects.toMatchObject({ code: "unauthorized", message: "wrong password" });
  });

  it("signs out everywhere and keeps nothing", async () => {
    const server = new FakeServer();
    server.kind = "agent";
    server.subject = "a1";
    server.begin("c1", ["x"]);
    const machine = new Machine(server);
    const agents = [anAgent(machine.tab()), anAgent(machine.tab())];
    for (const agent of agents) agent.start();
    await pass(50);
    agents[0]!.watch("c1");
    await pass();
    await Promise.all([agents[1]!.logout(), pass(30)]);
    await pass();
    for (const agent of agents) {
      expect(agent.status.getSnapshot()).toMatchObject({ state: "stopped", reason: "unauthorized" });
      expect(agent.profile.getSnapshot()).toBeNull();
      expect(agent.conversation("c1").getSnapshot()).toBeUndefined();
    }
    expect(server.open).toHaveLength(0);
  });

  it("another agent in the same tab does not send the first one's texts", async () => {
    const { server, agent } = await connectedAgent();
    server.begin("c1", ["x"]);
    agent.watch("c1");
    await pass();
    server.overrides.set("send", () => ({ silent: true }));
    const { settled } = agent.send("c1", "not yours");
    server.subject = "a2";
    server.socket.drop(4004);
    server.overrides.clear();
    await pass(1_000);
    expect(await settled).toMatchObject({ ok: false, error: { code: "discarded" } });
    expect(server.conversations.get("c1")!.thread).toHaveLength(1);
  });
});

describe("shutting a visitor out", () => {
  it("shows at once what a colleague, or oneself, decided", async () => {
    const { server, agent } = await connectedAgent();
    server.begin("c1", ["x"]);
    agent.watch("c1");
    await pass();
    const banned = () => agent.conversation("c1").getSnapshot()?.visitor?.banned;
    for (const event of ["banned", "unbanned"] as const) {
      server.append("c1", { lane: "desk", event, body: {}, from: { kind: "agent", id: "a2", name: "Hedy" } });
      await pass();
      expect(banned()).toBe(event === "banned");
    }
    server.overrides.set("ban", () => ({}));
    await Promise.all([agent.ban("c1", true), pass()]);
    expect(server.commands("ban").at(-1)).toMatchObject({ conversation: "c1", on: true });
  });
});

describe("watching", () => {
  async function watching() {
    const server = new FakeServer();
    server.begin("c1");
    server.append("c1", visitorSays("help"), false);
    server.append("c1", noted("careful"), false);
    const connected = await connectedAgent(server);
    const release = connected.agent.watch("c1");
    await pass();
    return { ...connected, release, chat: () => connected.agent.conversation("c1").getSnapshot()! };
  }

  it("brings both lanes, the visitor, and what comes after", async () => {
    const { server, chat } = await watching();
    expect(chat()).toMatchObject({ live: true, visitor: { name: "Ada" }, unread: 1 });
    await pass(1);
    server.append("c1", noted("really"));
    await pass(1);
    server.append("c1", visitorSays("now"));
    server.socket.say({ type: "viewing", conversation: "c1", agents: [{ id: "a2", name: "Hedy" }] });
    await pass();
    expect(timeline(chat()).map(({ event, seq }) => `${event} ${seq}`)).toEqual(["message 1", "note 1", "note 2", "message 2"]);
    expect(chat().viewing).toEqual([{ id: "a2", name: "Hedy" }]);
  });

  it("begins again after a reconnect, at both positions", async () => {
    const { server, chat } = await watching();
    server.socket.drop(1006);
    server.append("c1", noted("missed"), false);
    server.append("c1", visitorSays("missed too"), false);
    await pass(600);
    expect(server.commands("watch").at(-1)).toMatchObject({ conversation: "c1", epoch: "k1", seq: 1, desk_seq: 1 });
    expect(chat().thread.last + chat().desk.last).toBe(4);
    expect(chat().live).toBe(true);
  });

  it("ends when the last one lets go, and survives a change of views in one turn", async () => {
    const { server, agent, release, chat } = await watching();
    const again = agent.watch("c1");
    release();
    release();
    await pass();
    expect(server.commands("unwatch")).toHaveLength(0);
    again();
    const third = agent.watch("c1");
    await pass();
    expect(server.commands("unwatch")).toHaveLength(0);
    third();
    await pass();
    expect(server.commands("unwatch")).toHaveLength(1);
    expect(chat().live).toBe(false);
    expect(server.commands("watch")).toHaveLength(1);
  });

  it("that was let go before the answer came is not live", async () => {
    const { server, agent } = await connectedAgent();
    server.begin("c1", ["x"]);
    const release = agent.watch("c1");
    await pass(1);
    release();
    await pass();
    expect(server.commands("unwatch")).toHaveLength(1);
    expect(agent.conversation("c1").getSnapshot()?.live ?? false).toBe(false);
  });

  it("tells why a conversation can't be watched", async () => {
    const { server, agent } = await connectedAgent();
    server.overrides.set("watch", ({ id }, socket) => (socket.say({ type: "error", id, code: "not_found", message: "no such conversation" }), { silent: true }));
    agent.watch("nope");
    await pass();
    expect(agent.refusal("nope").getSnapshot()).toEqual({ code: "not_found", message: "no such conversation" });
    expect(agent.conversation("nope").getSnapshot()).toBeUndefined();
  });

  it("each tab watches its own; what a dead tab watched is let go", async () => {
    const server = new FakeServer();
    server.kind = "agent";
    server.subject = "a1";
    server.begin("c1", ["x"]);
    server.begin("c2", ["y"]);
    const machine = new Machine(server);
    const tabs = [machine.tab(), machine.tab(), machine.tab()];
    const agents = tabs.map((tab) => anAgent(tab));
    for (const agent of agents) agent.start();
    await pass(50);
    agents[1]!.watch("c1");
    agents[2]!.watch("c2");
    await pass();
    expect(server.commands("watch").map((c) => c["conversation"])).toEqual(["c1", "c2"]);
    tabs[2]!.kill();
    await pass();
    expect(server.commands("unwatch").map((c) => c["conversation"])).toEqual(["c2"]);
    // The leader dies: the next one watches what the living tabs want.
    tabs[0]!.kill();
    await pass(50);
    expect(server.socket.received.filter(({ type }) => type === "watch").map((c) => c["conversation"])).toEqual(["c1"]);
    server.say("z", "c1");
    await pass();
    expect(agents[1]!.conversation("c1").getSnapshot()!.thread.last).toBe(2);
  });

  it("looks anew who the visitor is when a head says that it is another", async () => {
    const server = new FakeServer();
    server.begin("c1", ["hi"]);
    const { agent } = await connectedAgent(server);
    agent.watch("c1");
    await pass();
    const watches = () => server.commands("watch").length;
    server.socket.say({ type: "inbox", conversation: head("c1", 10, { visitor: { id: "v1" } }) });
    await pass();
    expect(watches()).toBe(1);
    server.overrides.set("watch", ({ conversation }) => ({ conversation, epoch: "k1", status: "open", seq: 1, desk_seq: 0, resumed: true, entries: [], read: { visitor: 0, agent: 0 }, assignee: null, viewing: [], visitor: { id: "v2", name: "Ada", identified: true, fields: {}, conversations: [] } }));
    server.socket.say({ type: "inbox", conversation: head("c1", 11, { seq: 2, visitor: { id: "v2" } }) });
    await pass();
    expect(watches()).toBe(2);
    expect(agent.conversation("c1").getSnapshot()).toMatchObject({ visitor: { id: "v2", identified: true }, thread: { last: 1 } });
  });

  it("a note goes into the desk lane, a message into the thread", async () => {
    const { agent, chat } = await watching();
    agent.note("c1", "psst");
    agent.send("c1", "hello Ada");
    expect(chat().pending.map(({ lane }) => lane)).toEqual(["desk", "thread"]);
    await pass();
    expect(chat().pending).toEqual([]);
    expect(chat().desk.last).toBe(2);
    expect(chat().thread.last).toBe(2);
  });

  it("tells a lost race for a conversation", async () => {
    const { server, agent } = await watching();
    server.overrides.set("assign", ({ id }, socket) => (socket.say({ type: "error", id, code: "conflict", message: "Hedy took it" }), { silent: true }));
    const { settled } = agent.assign("c1", "me");
    await pass();
    expect(await settled).toEqual({ ok: false, error: { code: "conflict", message: "Hedy took it", retryable: false } });
    expect(server.commands("assign")[0]).toMatchObject({ to: "me", key: expect.any(String) });
    agent.assign("c1", null);
    await pass();
    expect(server.commands("assign")[1]).toHaveProperty("to", null);
  });

  it("sees a visitor's draft, and which colleague is replying, but not itself", async () => {
    const { server, chat } = await watching();
    server.socket.say(
      { type: "typing", conversation: "c1", by: { kind: "visitor", id: "v1" }, on: true, text: "my secr" },
      { type: "typing", conversation: "c1", by: { kind: "agent", id: "a1" }, on: true },
    );
    await pass();
    expect(chat().typing).toEqual([{ by: { kind: "visitor", id: "v1", name: "Ada" }, text: "my secr", until: expect.any(Number) }]);
  });

  it("forgets what nobody looks at: entries beyond fifty, and conversations beyond two hundred", async () => {
    const { server, agent } = await connectedAgent();
    for (let i = 0; i < 230; i++) server.begin(`c${i}`, Array.from({ length: i === 229 ? 150 : 1 }, () => "x"));
    for (let i = 0; i < 230; i++) {
      const release = agent.watch(`c${i}`);
      await pass(5);
      if (i === 229) {
        const older = agent.loadOlder("c229");
        await pass();
        await older;
        expect(agent.conversation("c229").getSnapshot()!.thread.entries).toHaveLength(100);
      }
      release();
      await pass(5);
    }
    const held = Array.from({ length: 230 }, (_, i) => agent.conversation(`c${i}`).getSnapshot());
    expect(held.filter(Boolean).length).toBeLessThanOrEqual(200);
    expect(held[229]!.thread.entries).toHaveLength(50);
    expect(held[229]!.thread.older).toBe(true);
  });
});

describe("prefetching", () => {
  it("has entries without watching, and the watch goes on from there", async () => {
    const { server, agent } = await connectedAgent();
    server.begin("c1", Array.from({ length: 40 }, (_, i) => `${i}`));
    server.socket.say({ type: "inbox", conversation: head("c1", 5, { seq: 40 }) });
    await pass();
    await Promise.all([agent.prefetch("c1"), pass()]);
    expect(agent.conversation("c1").getSnapshot()).toMatchObject({ live: false, thread: { last: 40, older: true } });
    expect(server.commands("watch")).toHaveLength(0);
    await Promise.all([agent.prefetch("c1"), pass()]);
    expect(server.commands("history")).toHaveLength(2);
    server.say("new", "c1", false);
    agent.watch("c1");
    await pass();
    expect(server.commands("watch")[0]).toMatchObject({ seq: 40 });
    expect(agent.conversation("c1").getSnapshot()!.thread.last).toBe(41);
  });
});

describe("the inbox", () => {
  const ids = (view: { snapshot: { getSnapshot(): { ids: readonly string[] } } }) => view.snapshot.getSnapshot().ids;

  async function withHeads(...heads: Head[]) {
    const server = new FakeServer();
    server.heads.push(...heads);
    return connectedAgent(server);
  }

  it("lists, counts, and follows pushes in any order of arrival", async () => {
    const { server, agent } = await withHeads(head("c2", 20), head("c1", 10));
    const view = agent.view({ status: "open", assignee: "any" });
    expect(view.snapshot.getSnapshot().state).toBe("loading");
    await pass();
    expect(view.snapshot.getSnapshot()).toEqual({ ids: ["c2", "c1"], state: "ready", more: false });
    expect(agent.counts.getSnapshot()).toEqual({ mine: 0, unassigned: 2, open: 2 });
    server.socket.say(
      { type: "inbox", conversation: head("c1", 30, { seq: 3 }) },
      { type: "inbox", conversation: head("c1", 25, { seq: 2 }) },
      { type: "inbox", conversation: head("c3", 26) },
    );
    await pass();
    expect(ids(view)).toEqual(["c1", "c3", "c2"]);
    expect(agent.head("c1").getSnapshot()!.seq).toBe(3);
    // A head that was not known changes the counts; those that only say something new do not.
    server.heads.push(head("c3", 26));
    await pass(400);
    expect(agent.counts.getSnapshot().open).toBe(3);
    const asked = server.commands("inbox").length;
    server.socket.say({ type: "inbox", conversation: head("c1", 31, { seq: 4 }) });
    await pass(400);
    expect(server.commands("inbox")).toHaveLength(asked);
    server.socket.say({ type: "inbox", conversation: head("c3", 26, { seq: 2, status: "closed" }) });
    await pass();
    expect(ids(view)).toEqual(["c1", "c2"]);
  });

  it("keeps the list's identity when only a row changed", async () => {
    const { server, agent } = await withHeads(head("c2", 20), head("c1", 10));
    const view = agent.view({ status: "open", assignee: "any" });
    await pass();
    const before = ids(view);
    const row = vi.fn();
    const other = vi.fn();
    agent.head("c1").subscribe(row);
    agent.head("c2").subscribe(other);
    server.socket.say({ type: "inbox", conversation: head("c1", 10, { desk_seq: 1, unread: 0 }) });
    await pass();
    expect(ids(view)).toBe(before);
    expect(row).toHaveBeenCalledOnce();
    expect(other).not.toHaveBeenCalled();
  });

  it("filters by assignee and by the visitor's name", async () => {
    const { server, agent } = await withHeads();
    const mine = agent.view({ status: "open", assignee: "me" });
    const none = agent.view({ status: "open", assignee: "none" });
    const ada = agent.view({ status: "any", assignee: "any", visitor: "ada" });
    await pass();
    server.socket.say(
      { type: "inbox", conversation: head("c1", 1, { assignee: "a1" }) },
      { type: "inbox", conversation: head("c2", 2, { visitor: { id: "v", name: "Ada L." } }) },
      { type: "inbox", conversation: head("c3", 3, { assignee: "a2" }) },
    );
    await pass();
    expect([ids(mine), ids(none), ids(ada)]).toEqual([["c1"], ["c2"], ["c2"]]);
  });

  it("asks again after a reconnect and drops what is not there any more", async () => {
    const { server, agent } = await withHeads(head("c2", 20), head("c1", 10));
    const view = agent.view({ status: "open", assignee: "any" });
    await pass();
    server.socket.drop(1006);
    server.heads.splice(0, 1);
    await pass(600);
    expect(ids(view)).toEqual(["c1"]);
    expect(agent.head("c2").getSnapshot()).toBeUndefined();
  });

  it("does not drop what was pushed while the answer was on its way", async () => {
    const { server, agent } = await withHeads(head("c1", 10));
    server.overrides.set("inbox", (_, socket) => (socket.say({ type: "inbox", conversation: head("c9", 90) }), undefined));
    const view = agent.view({ status: "open", assignee: "any" });
    await pass();
    expect(ids(view)).toEqual(["c9", "c1"]);
  });

  it("loads pages, and shows no older heads before their page is there", async () => {
    const { server, agent } = await withHeads();
    server.overrides.set("inbox", ({ before, filter }) => {
      const counts = { mine: 0, unassigned: 0, open: 4 };
      if (filter.assignee === "a2") return { heads: [head("old", 1, { assignee: "a2" })], counts };
      if (before) return { heads: [head("c2", 20), head("old", 1, { assignee: "a2" })], counts };
      return { heads: [head("c4", 40), head("c3", 30)], cursor: "next", counts };
    });
    const hers = agent.view({ status: "open", assignee: "a2" });
    const view = agent.view({ status: "open", assignee: "any" });
    await pass();
    expect(ids(hers)).toEqual(["old"]);
    expect(view.snapshot.getSnapshot()).toMatchObject({ ids: ["c4", "c3"], more: true });
    await Promise.all([view.loadMore(), pass()]);
    expect(view.snapshot.getSnapshot()).toMatchObject({ ids: ["c4", "c3", "c2", "old"], more: false });
  });

  it("is the same in every tab", async () => {
    const server = new FakeServer();
    server.kind = "agent";
    server.subject = "a1";
    server.heads.push(head("c2", 20), head("c1", 10));
    const machine = new Machine(server);
    const agents = [anAgent(machine.tab()), anAgent(machine.tab())];
    for (const agent of agents) agent.start();
    await pass(50);
    const view = agents[1]!.view({ status: "open", assignee: "any" });
    await pass();
    expect(ids(view)).toEqual(["c2", "c1"]);
    expect(agents[0]!.counts.getSnapshot()).toEqual(agents[1]!.counts.getSnapshot());
    server.socket.say({ type: "inbox", conversation: head("c3", 30) });
    await pass();
    expect(ids(view)).toEqual(["c3", "c2", "c1"]);
  });

  it("shows a refusal, and keeps the availability that the agent chose", async () => {
    const { server, agent } = await withHeads();
    server.overrides.set("inbox", ({ id }, socket) => (socket.say({ type: "error", id, code: "forbidden", message: "no" }), { silent: true }));
    const view = agent.view({ status: "open", assignee: "any" });
    await Promise.all([agent.availability("away"), pass()]);
    expect(view.snapshot.getSnapshot()).toMatchObject({ state: "failed", error: { code: "forbidden" } });
    server.socket.drop(1006);
    await pass(600);
    expect(server.commands("availability").map((c) => c["status"])).toEqual(["away", "away"]);
  });
});

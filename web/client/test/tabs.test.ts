import { describe, expect, it } from "vitest";
import type { Visitor } from "../src/visitor.ts";
import { aVisitor, FakeServer, Machine, onFakeTime, pass, shown, stored, type Tab } from "./fake/index.ts";

onFakeTime();

interface Seat {
  readonly tab: Tab;
  readonly visitor: Visitor;
}

async function seats(count: number, server = new FakeServer(), storage: "none" | "tab" | "device" = "device") {
  const machine = new Machine(server);
  const all: Seat[] = [];
  const another = async () => {
    const tab = machine.tab();
    const visitor = aVisitor(tab, { storage });
    visitor.start();
    all.push({ tab, visitor });
    await pass(30);
    return all.at(-1)!;
  };
  for (let i = 0; i < count; i++) await another();
  return { server, machine, all, another };
}

const leaders = (all: readonly Seat[]) => all.filter(({ tab, visitor }) => tab.alive && visitor.leader.getSnapshot());

/** Everything that a person can see, without the times at which it happened. */
const view = ({ visitor }: Seat) => ({
  status: visitor.status.getSnapshot(),
  self: visitor.self.getSnapshot(),
  profile: visitor.profile.getSnapshot(),
  unread: visitor.unread.getSnapshot(),
  presence: visitor.presence.getSnapshot(),
  chats: visitor.conversations.getSnapshot().map((id) => visitor.conversation(id).getSnapshot()),
});

describe("tabs of one browser", () => {
  it("share one socket, one visitor and one state", async () => {
    const server = new FakeServer();
    server.begin("c1", ["hello"]);
    const { all } = await seats(3, server);
    expect(server.sockets).toHaveLength(1);
    expect(server.posts).toHaveLength(1);
    expect(leaders(all)).toEqual([all[0]]);
    server.say("more", "c1");
    server.socket.say({ type: "presence", agents: { online: 4 } });
    all[1]!.visitor.send("c1", "from two");
    await pass();
    all[2]!.visitor.read("c1");
    await pass();
    expect(view(all[0]!)).toMatchObject({ unread: 0, presence: { online: 4 }, self: { id: "v1" } });
    expect(view(all[1]!)).toEqual(view(all[0]!));
    expect(view(all[2]!)).toEqual(view(all[0]!));
    expect(shown(all[2]!.visitor, "c1")).toEqual(["hello", "more", "from two"]);
  });

  it("can all write, and a follower's write is told to the follower", async () => {
    const { server, all } = await seats(2);
    const { conversation, settled } = all[1]!.visitor.open("hi");
    expect(shown(all[1]!.visitor, conversation)).toEqual(["hi"]);
    all[1]!.visitor.send(conversation, "again");
    await pass();
    expect(await settled).toMatchObject({ ok: true });
    expect(stored(server, "c1")).toEqual(["hi", "again"]);
    expect(shown(all[1]!.visitor, conversation)).toEqual(["hi", "again"]);
    expect(view(all[0]!)).toEqual(view(all[1]!));
  });

  it("hear of each entry once, and exactly one of them leads", async () => {
    const server = new FakeServer();
    server.begin("c1", ["hello"]);
    const { all } = await seats(3, server);
    const heard = all.map(() => [] as string[]);
    const sounds: string[] = [];
    all.forEach(({ visitor }, i) =>
      visitor.onArrival(({ entry, live }) => {
        heard[i]!.push(`${entry.seq} ${live}`);
        if (visitor.leader.getSnapshot()) sounds.push(`${entry.seq}`);
      }),
    );
    server.say("ping", "c1");
    await pass();
    expect(heard).toEqual([["2 true"], ["2 true"], ["2 true"]]);
    expect(sounds).toEqual(["2"]);
  });

  it("get answers and refusals to what they ask through the leader", async () => {
    const server = new FakeServer();
    server.begin("c1", Array.from({ length: 80 }, (_, i) => `${i}`));
    const { all } = await seats(2, server);
    const follower = all[1]!.visitor;
    const older = follower.loadOlder("c1");
    await pass();
    expect(await older).toBe(false);
    expect(shown(follower, "c1")).toHaveLength(80);
    server.begin("c2", Array.from({ length: 80 }, (_, i) => `${i}`));
    server.down = true;
    server.socket.drop(1006);
    const refused = follower.loadOlder("c1");
    expect(await refused).toBe(false);
  });

  it("stand alone where nothing may be stored, and where the browser lacks the means", async () => {
    const { server, all } = await seats(2, new FakeServer(), "none");
    expect(server.sockets).toHaveLength(2);
    expect(leaders(all)).toHaveLength(2);
    const lone = new Machine(new FakeServer());
    const visitor = aVisitor(lone.tab({ shared: false }), { storage: "device" });
    visitor.start();
    await pass();
    expect(visitor.leader.getSnapshot()).toBe(true);
    expect(visitor.status.getSnapshot().state).toBe("online");
  });

  it("a new tab learns what is there, with what it brought from before", async () => {
    const { server, all, another } = await seats(1, new FakeServer(), "tab");
    all[0]!.visitor.open("hi");
    await pass();
    const late = await another();
    expect(shown(late.visitor, "c1")).toEqual(["hi"]);
    expect(server.posts).toHaveLength(1);
    // Its own tab may remember the visitor now.
    expect(late.visitor.remembers()).toBe(true);
  });
});

describe("tabs that miss something", () => {
  it("catch up when a word of the leader is lost", async () => {
    const server = new FakeServer();
    server.begin("c1", ["hello"]);
    const { all } = await seats(2, server);
    all[1]!.tab.deaf = true;
    server.say("lost", "c1");
    await pass();
    all[1]!.tab.deaf = false;
    expect(shown(all[1]!.visitor, "c1")).toEqual(["hello"]);
    server.say("heard", "c1");
    await pass();
    expect(shown(all[1]!.visitor, "c1")).toEqual(["hello", "lost", "heard"]);
    expect(view(all[1]!)).toEqual(view(all[0]!));
  });

  it("bring along what they stored and did not send", async () => {
    const server = new FakeServer();
    const machine = new Machine(server);
    server.begin("c1", ["hello"]);
    const first = aVisitor(machine.tab(), { storage: "tab" });
    first.start();
    await pass(30);
    const tab = machine.tab();
    const command = { type: "send", conversation: "c1", body: { text: "from before" } };
    const item = { key: "k1", command, conversation: "c1", lane: "thread", text: "from before", at: 1, state: "sending", attempts: 0 };
    tab.storage.setItem("deskbell:https://chat.test:pk_1", JSON.stringify({ owner: "v1", resume: "r", outbox: [item] }));
    const second = aVisitor(tab, { storage: "tab" });
    second.start();
    await pass(50);
    expect(stored(server, "c1")).toEqual(["hello", "from before"]);
    expect(shown(first, "c1")).toEqual(["hello", "from before"]);
    expect(JSON.parse([...tab.storage.items.values()][0]!)["outbox"]).toEqual([]);
  });
});

describe("when the leader goes", () => {
  it("another takes over at once and resumes at its position", async () => {
    const server = new FakeServer();
    server.begin("c1", ["hello"]);
    const { all } = await seats(3, server);
    all[0]!.tab.kill();
    server.say("missed", "c1", false);
    await pass(30);
    expect(leaders(all)).toHaveLength(1);
    expect(server.sockets).toHaveLength(2);
    expect(server.commands("connect").at(-1)!["resume"]).toEqual([{ conversation: "c1", epoch: "k1", seq: 1 }]);
    for (const { visitor } of all.slice(1)) expect(shown(visitor, "c1")).toEqual(["hello", "missed"]);
    expect(view(all[2]!)).toEqual(view(all[1]!));
  });

  it.each([0, 1, 2, 3, 4, 5, 8])("mid-send after %i ms: nothing lost, nothing twice, and it is told", async (ms) => {
    const server = new FakeServer();
    server.begin("c1", ["hello"]);
    const { all } = await seats(3, server);
    const writes = ["a", "b", "c"].map((text) => all[1]!.visitor.send("c1", text));
    await pass(ms);
    all[0]!.tab.kill();
    writes.push(all[2]!.visitor.send("c1", "d"));
    await pass(200);
    const outcomes = await Promise.all(writes.map(({ settled }) => settled));
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect(stored(server, "c1").slice(0, 4)).toEqual(["hello", "a", "b", "c"].slice(0, 4));
    expect([...stored(server, "c1")].sort()).toEqual(["a", "b", "c", "d", "hello"]);
    for (const { visitor } of all.slice(1)) {
      expect([...shown(visitor, "c1")].sort()).toEqual(["a", "b", "c", "d", "hello"]);
      expect(visitor.conversation("c1").getSnapshot()!.pending).toEqual([]);
    }
  });

  it.each([0, 1, 2, 3, 4, 6])("mid-open after %i ms: one conversation", async (ms) => {
    const { server, all } = await seats(2);
    const { conversation, settled } = all[1]!.visitor.open("hi");
    all[1]!.visitor.send(conversation, "again");
    await pass(ms);
    all[0]!.tab.kill();
    await pass(200);
    expect(await settled).toMatchObject({ ok: true });
    expect(server.conversations.size).toBe(1);
    expect(shown(all[1]!.visitor, conversation)).toEqual(["hi", "again"]);
    expect(all[1]!.visitor.conversations.getSnapshot()).toEqual(["c1"]);
  });

  it("mid-heal, the new one heals", async () => {
    const server = new FakeServer();
    server.begin("c1", ["1"]);
    const { all } = await seats(2, server);
    server.overrides.set("history", () => ({ silent: true }));
    server.say("2", "c1", false);
    server.say("3", "c1");
    await pass();
    all[0]!.tab.kill();
    await pass(50);
    expect(shown(all[1]!.visitor, "c1")).toEqual(["1", "2", "3"]);
  });

  it("what the others asked it is answered: with what came of it, or as worth another try", async () => {
    const server = new FakeServer();
    server.begin("c1", Array.from({ length: 80 }, (_, i) => `${i}`));
    const { all } = await seats(3, server);
    server.overrides.set("history", () => ({ silent: true }));
    const asked = all.slice(1).map(({ visitor }) => visitor.loadOlder("c1").catch((error: unknown) => error));
    await pass();
    server.overrides.clear();
    all[0]!.tab.kill();
    await pass(50);
    // The new leader was not connected yet when it took over its own question, and was when the other tab asked again.
    expect(await Promise.all(asked)).toEqual([expect.objectContaining({ retryable: true }), false]);
    expect(shown(all[1]!.visitor, "c1")).toHaveLength(80);
  });

  it("by leaving politely, nobody waits", async () => {
    const { server, all } = await seats(2);
    all[0]!.visitor.stop();
    await pass(30);
    expect(leaders(all)).toEqual([all[1]]);
    expect(server.open).toHaveLength(1);
    expect(all[0]!.visitor.status.getSnapshot().state).toBe("idle");
  });

  it("into the back/forward cache: it hands over, and comes back as one of the others", async () => {
    const { server, all } = await seats(2);
    all[0]!.tab.page(false);
    await pass(30);
    expect(leaders(all)).toEqual([all[1]]);
    all[1]!.visitor.open("meanwhile");
    await pass();
    all[0]!.tab.page(true);
    await pass(30);
    expect(leaders(all)).toEqual([all[1]]);
    expect(server.open).toHaveLength(1);
    expect(shown(all[0]!.visitor, "c1")).toEqual(["meanwhile"]);
  });

  it("over and over, with everybody writing, all is stored once and all agree", async () => {
    const server = new FakeServer();
    server.begin("c1");
    server.append("c1", { event: "message", body: { text: "hello" }, from: { kind: "system" } });
    const { all, another } = await seats(3, server);
    const written = ["hello"];
    for (let round = 0; round < 8; round++) {
      for (const { tab, visitor } of all) {
        if (!tab.alive) continue;
        written.push(`${round} ${all.indexOf(all.find((s) => s.visitor === visitor)!)}`);
        visitor.send("c1", written.at(-1)!);
        await pass(round % 4);
      }
      await another();
      // What the dying tab wrote in its last moment may die with it: let it reach the leader first.
      await pass(40);
      leaders(all)[0]!.tab.kill();
      await pass(round * 3);
    }
    await pass(30_000);
    expect([...stored(server, "c1")].sort()).toEqual([...written].sort());
    const living = all.filter(({ tab }) => tab.alive);
    for (const seat of living) expect(view(seat)).toEqual(view(living[0]!));
    expect(shown(living[0]!.visitor, "c1")).toEqual(stored(server, "c1"));
  });
});

describe("a leader that sleeps", () => {
  it("is replaced by a visible tab, and follows when it wakes up", async () => {
    const { server, all } = await seats(2);
    all[0]!.tab.hidden = true;
    all[0]!.tab.frozen = true;
    const { settled } = all[1]!.visitor.open("anybody?");
    await pass(13_000);
    expect(await settled).toMatchObject({ ok: true });
    all[0]!.tab.frozen = all[0]!.tab.hidden = false;
    await pass(10_000);
    expect(leaders(all)).toEqual([all[1]]);
    expect(server.open).toHaveLength(1);
    expect(shown(all[0]!.visitor, "c1")).toEqual(["anybody?"]);
  });

  it("is left alone by hidden tabs", async () => {
    const { all } = await seats(2);
    for (const { tab } of all) tab.hidden = true;
    all[0]!.tab.frozen = true;
    await pass(60_000);
    expect(leaders(all)).toEqual([all[0]]);
  });

  it("a healthy one is never replaced, however long it takes", async () => {
    const { server, all } = await seats(3);
    for (let i = 0; i < 20; i++) {
      server.socket.say({ type: "ping" });
      await pass(20_000);
    }
    expect(leaders(all)).toEqual([all[0]]);
    expect(server.sockets).toHaveLength(1);
  });

  it("whose timers are slow is woken in time by a visible tab", async () => {
    const { server, all } = await seats(2);
    await pass(10_000);
    server.down = true;
    server.socket.drop(1006);
    await pass(5_000);
    server.down = false;
    all[1]!.tab.wake();
    await pass(30);
    expect(all[1]!.visitor.status.getSnapshot().state).toBe("online");
  });
});

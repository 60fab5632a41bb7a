import { describe, expect, it, vi } from "vitest";
import type { Arrival } from "../src/state.ts";
import { connectedVisitor, FakeServer, onFakeTime, pass, shown } from "./fake/index.ts";

onFakeTime();

const numbers = (n: number) => Array.from({ length: n }, (_, i) => `${i + 1}`);

async function withThread(texts: string[]) {
  const server = new FakeServer();
  server.begin("c1", texts);
  const connected = await connectedVisitor(server);
  return { ...connected, chat: () => connected.visitor.conversation("c1").getSnapshot()! };
}

describe("a thread", () => {
  it("comes with its newest fifty, and older ones on demand, without a hole", async () => {
    const { visitor, chat } = await withThread(numbers(130));
    expect(chat().thread.entries).toHaveLength(50);
    expect(chat().thread.older).toBe(true);
    const first = visitor.loadOlder("c1");
    const second = visitor.loadOlder("c1");
    await pass();
    expect(await first).toBe(true);
    expect(await second).toBe(true);
    expect(chat().thread.entries).toHaveLength(100);
    const last = visitor.loadOlder("c1");
    await pass();
    expect(await last).toBe(false);
    expect(shown(visitor, "c1")).toEqual(numbers(130));
    expect(await visitor.loadOlder("c1")).toBe(false);
  });

  it("resumes where it was: nothing missed, nothing twice", async () => {
    const { server, visitor } = await withThread(["1", "2"]);
    server.socket.drop(1006);
    server.say("3", "c1", false);
    server.say("4", "c1", false);
    await pass(600);
    expect(server.commands("connect").at(-1)!["resume"]).toEqual([{ conversation: "c1", epoch: "k1", seq: 2 }]);
    expect(shown(visitor, "c1")).toEqual(["1", "2", "3", "4"]);
  });

  it("starts over when the position can't be continued", async () => {
    const { server, visitor, chat } = await withThread(numbers(10));
    server.socket.drop(1006);
    for (const text of numbers(400)) server.say(`new ${text}`, "c1", false);
    await pass(600);
    expect(chat().thread.entries).toHaveLength(50);
    expect(chat().thread.last).toBe(410);
    expect(chat().thread.older).toBe(true);
    expect(shown(visitor, "c1").at(-1)).toBe("new 400");
  });

  it("drops everything when the log has another epoch", async () => {
    const { server, visitor } = await withThread(["old 1", "old 2", "old 3"]);
    server.socket.drop(1006);
    server.begin("c1", ["restored"]).epoch = "k2";
    await pass(600);
    expect(shown(visitor, "c1")).toEqual(["restored"]);
  });

  it("drops everything when an entry of another epoch arrives", async () => {
    const { server, visitor } = await withThread(["old 1", "old 2"]);
    server.begin("c1", ["restored"]).epoch = "k2";
    server.say("and on", "c1");
    await pass();
    expect(shown(visitor, "c1")).toEqual(["restored", "and on"]);
  });

  it("heals a hole from history, asking once, and gets what arrives meanwhile", async () => {
    const { server, visitor } = await withThread(["1"]);
    server.say("2", "c1", false);
    server.say("3", "c1");
    server.say("4", "c1");
    await pass();
    expect(shown(visitor, "c1")).toEqual(["1", "2", "3", "4"]);
    expect(server.commands("history")).toEqual([expect.objectContaining({ conversation: "c1", after: 1 })]);
  });

  it("heals a hole of many pages", async () => {
    const { server, visitor } = await withThread(["1"]);
    for (let i = 2; i <= 500; i++) server.say(`${i}`, "c1", false);
    server.say("501", "c1");
    await pass();
    expect(shown(visitor, "c1")).toEqual(numbers(501));
  });

  it("heals again after a page that is older than the newest entry", async () => {
    const { server, visitor } = await withThread(["1"]);
    server.overrides.set("history", () => {
      server.overrides.delete("history");
      return { entries: server.conversations.get("c1")!.thread.slice(1, 2), more: false };
    });
    server.say("2", "c1", false);
    server.say("3", "c1");
    await pass();
    expect(shown(visitor, "c1")).toEqual(["1", "2", "3"]);
  });

  it("does not ask for ever for what the server does not have", async () => {
    const { server } = await withThread(["1"]);
    server.overrides.set("history", () => ({ entries: [], more: false }));
    server.say("2", "c1", false);
    server.say("3", "c1");
    await pass(5_000);
    expect(server.commands("history")).toHaveLength(1);
  });

  it("tries a refused heal again when the server says so", async () => {
    const { server, visitor } = await withThread(["1"]);
    server.overrides.set("history", ({ id }, socket) => {
      server.overrides.delete("history");
      socket.say({ type: "error", id, code: "rate_limited", message: "slow down", retry_ms: 800 });
      return { silent: true };
    });
    server.say("2", "c1", false);
    server.say("3", "c1");
    await pass(700);
    expect(shown(visitor, "c1")).toEqual(["1"]);
    await pass(200);
    expect(shown(visitor, "c1")).toEqual(["1", "2", "3"]);
  });

  it("drops what it has already", async () => {
    const { server, visitor } = await withThread(["1", "2"]);
    const arrivals: Arrival[] = [];
    visitor.onArrival((arrival) => arrivals.push(arrival));
    const again = server.conversations.get("c1")!.thread[1]!;
    server.socket.say({ ...again, type: "entry" }, { ...again, type: "entry" });
    await pass();
    expect(shown(visitor, "c1")).toEqual(["1", "2"]);
    expect(arrivals).toEqual([]);
  });

  it("rejects a read without a connection as retryable", async () => {
    const { server, visitor } = await withThread(numbers(80));
    server.mute = true;
    const cut = visitor.loadOlder("c1");
    cut.catch(() => {});
    await pass();
    server.socket.drop(1006);
    await expect(cut).rejects.toMatchObject({ code: "offline", retryable: true });
  });
});

describe("what an entry means", () => {
  it("closing, reopening, joining, leaving and rating change the conversation", async () => {
    const { server, chat } = await withThread(["1"]);
    const agent = { id: "a1", name: "Grace" };
    server.socket.say({ type: "queue", conversation: "c1", position: 2, eta_ms: 60_000 });
    await pass();
    expect(chat().queue).toEqual({ position: 2, eta_ms: 60_000 });
    server.append("c1", { event: "joined", body: { agent }, from: { kind: "system" } });
    await pass();
    expect(chat()).toMatchObject({ assignee: agent, status: "open" });
    expect(chat().queue).toBeUndefined();
    server.append("c1", { event: "left", body: { agent }, from: { kind: "system" } });
    server.append("c1", { event: "closed", body: {}, from: { kind: "agent", id: "a1" } });
    server.append("c1", { event: "rated", body: { score: 5 }, from: { kind: "visitor", id: "v1" } });
    await pass();
    expect(chat()).toMatchObject({ status: "closed", rating: { score: 5 } });
    expect(chat().assignee).toBeUndefined();
    server.append("c1", { event: "reopened", body: {}, from: { kind: "visitor", id: "v1" } });
    await pass();
    expect(chat().status).toBe("open");
  });

  it("announces each entry once, and tells what was there before from what is new", async () => {
    const server = new FakeServer();
    server.begin("c1", ["1"]);
    const { visitor } = await connectedVisitor(server);
    const live: string[] = [];
    visitor.onArrival(({ entry, live: isLive, own }) => entry.event === "message" && live.push(`${entry.body.text} ${isLive} ${own}`));
    server.say("2", "c1");
    await pass();
    server.socket.drop(1006);
    server.say("3", "c1", false);
    await pass(600);
    visitor.send("c1", "mine");
    await pass();
    expect(live).toEqual(["2 true false", "3 true false", "mine true true"]);
  });

  it("a listener that throws keeps nobody else from hearing", async () => {
    const { server, visitor, chat } = await withThread(["1"]);
    const uncaught = vi.fn();
    process.once("uncaughtException", uncaught);
    visitor.onArrival(() => {
      throw new Error("mine");
    });
    const heard = vi.fn();
    visitor.onArrival(heard);
    server.say("2", "c1");
    await pass();
    expect(heard).toHaveBeenCalledOnce();
    expect(uncaught).toHaveBeenCalledOnce();
    expect(chat().thread.last).toBe(2);
  });
});

describe("what is never stored", () => {
  it("typing ends by itself, and with the message", async () => {
    const { server, chat } = await withThread(["1"]);
    const by = { kind: "agent", id: "a1" };
    server.append("c1", { event: "joined", body: { agent: { id: "a1", name: "Grace" } }, from: { kind: "system" } });
    server.socket.say({ type: "typing", conversation: "c1", by, on: true });
    await pass();
    expect(chat().typing).toEqual([expect.objectContaining({ by: { ...by, name: "Grace" } })]);
    server.say("done", "c1");
    await pass();
    expect(chat().typing).toEqual([]);
    server.socket.say({ type: "typing", conversation: "c1", by, on: true });
    await pass(4_000);
    expect(chat().typing).toHaveLength(1);
    await pass(4_000);
    expect(chat().typing).toEqual([]);
  });

  it("tells typing at most once a second, the newest draft, and its end", async () => {
    const { server, visitor } = await withThread(["1"]);
    for (let i = 1; i <= 30; i++) {
      visitor.typing("c1", true, "x".repeat(i));
      await pass(100);
    }
    const told = server.commands("typing");
    expect(told.length).toBeGreaterThanOrEqual(3);
    expect(told.length).toBeLessThanOrEqual(4);
    expect(told.at(-1)!["text"].length).toBeGreaterThan(20);
    await pass(6_000);
    expect(server.commands("typing").at(-1)).toMatchObject({ on: false });
  });

  it("counts unread until they are read, tells marks once a second, and again after a reconnect", async () => {
    const { server, visitor, chat } = await withThread(["1", "2"]);
    expect(visitor.unread.getSnapshot()).toBe(2);
    visitor.read("c1", 1);
    expect(visitor.unread.getSnapshot()).toBe(1);
    await pass();
    for (let i = 0; i < 5; i++) {
      server.say("more", "c1");
      await pass(50);
      visitor.read("c1");
    }
    expect(visitor.unread.getSnapshot()).toBe(0);
    expect(chat().read.visitor).toBe(7);
    await pass(1_000);
    expect(server.commands("read").map((c) => c["seq"])).toEqual([1, 7]);
    server.socket.drop(1006);
    await pass(1_600);
    expect(server.commands("read").map((c) => c["seq"])).toEqual([1, 7, 7]);
    visitor.read("c1");
    await pass(2_000);
    expect(server.commands("read")).toHaveLength(3);
  });

  it("shows how far the other side has read, never backwards", async () => {
    const { server, chat } = await withThread(["1", "2"]);
    for (const seq of [2, 1]) server.socket.say({ type: "read", conversation: "c1", by: { kind: "agent", id: "a1" }, seq });
    await pass();
    expect(chat().read.agent).toBe(2);
  });

  it("shows how many agents are there", async () => {
    const { server, visitor } = await withThread([]);
    expect(visitor.presence.getSnapshot()).toEqual({ online: 1 });
    server.socket.say({ type: "presence", agents: { online: 3 } });
    await pass();
    expect(visitor.presence.getSnapshot()).toEqual({ online: 3 });
  });
});

describe("snapshots", () => {
  it("keep their identity where nothing changed", async () => {
    const server = new FakeServer();
    server.begin("c1", ["1"]);
    server.begin("c2", ["1"]);
    const { visitor } = await connectedVisitor(server);
    const before = [visitor.conversation("c1").getSnapshot()!, visitor.conversation("c2").getSnapshot()!] as const;
    const others = vi.fn();
    visitor.conversation("c2").subscribe(others);
    server.say("2", "c1");
    await pass();
    expect(visitor.conversation("c1").getSnapshot()).not.toBe(before[0]);
    expect(visitor.conversation("c1").getSnapshot()!.thread.entries[0]).toBe(before[0].thread.entries[0]);
    expect(visitor.conversation("c1").getSnapshot()!.pending).toBe(before[0].pending);
    expect(visitor.conversation("c2").getSnapshot()).toBe(before[1]);
    expect(others).not.toHaveBeenCalled();
    expect(visitor.conversation("c1")).toBe(visitor.conversation("c1"));
  });
});

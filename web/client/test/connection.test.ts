import { describe, expect, it, vi } from "vitest";
import { connectedVisitor, FakeServer, Machine, aVisitor, onFakeTime, pass } from "./fake/index.ts";

onFakeTime();

const state = (visitor: { status: { getSnapshot(): { state: string; reason?: string } } }) => {
  const { state, reason } = visitor.status.getSnapshot();
  return reason ? `${state} ${reason}` : state;
};

describe("connecting", () => {
  it("asks for a session, names the subprotocol and never puts the token into the URL", async () => {
    const { server, visitor } = await connectedVisitor();
    expect(state(visitor)).toBe("online");
    expect(server.posts[0]).toMatchObject({ path: "/v1/sessions", project: "pk_1" });
    expect(server.socket.url).toBe("wss://chat.test/v1/ws");
    expect(server.socket.protocol).toBe("deskbell.v1");
    expect(server.socket.received[0]).toMatchObject({ type: "connect", token: "token1", resume: [] });
    expect(visitor.profile.getSnapshot()).toEqual({ visitor: { id: "v1", identified: false }, project: { id: "p", name: "Shop", online: true, sneak_peek: true } });
  });

  it("gives up on a socket that opens to silence, and tries again", async () => {
    const server = new FakeServer();
    server.deaf = true;
    const visitor = aVisitor(new Machine(server).tab());
    visitor.start();
    await pass(14_900);
    expect(server.sockets).toHaveLength(1);
    server.deaf = false;
    await pass(1_000);
    expect(server.sockets).toHaveLength(2);
    expect(state(visitor)).toBe("online");
  });

  it("comes back with full jitter that doubles up to 20 s while the server is down", async () => {
    const server = new FakeServer();
    server.down = true;
    const visitor = aVisitor(new Machine(server).tab());
    visitor.start();
    const waits: number[] = [];
    visitor.status.subscribe(() => {
      const { state, retryAt } = visitor.status.getSnapshot();
      if (state === "waiting") waits.push(retryAt! - Date.now());
    });
    await pass(60_000);
    // The fake random is always one half.
    expect(waits.slice(0, 8)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
  });

  it("begins with short waits again after a connection that held", async () => {
    const { server, visitor } = await connectedVisitor();
    server.down = true;
    server.socket.drop(1006);
    await pass(20_000);
    server.down = false;
    await pass(20_000);
    server.socket.drop(1006);
    const { retryAt } = visitor.status.getSnapshot();
    expect(retryAt! - Date.now()).toBe(250);
  });

  it("waits longer and longer for a server that takes it and drops it at once", async () => {
    const server = new FakeServer();
    server.overrides.set("connect", (_, socket) => (setTimeout(() => socket.drop(4000), 5), undefined));
    await connectedVisitor(server);
    await pass(30_000);
    expect(server.sockets.length).toBeLessThan(12);
  });

  it.each([
    [403, "forbidden", "stopped forbidden"],
    [404, "not_found", "stopped unknown_project"],
    [401, "unauthorized", "stopped unauthorized"],
  ])("stops when the session endpoint says %i %s", async (status, code, expected) => {
    const server = new FakeServer();
    server.problem = { status, body: { code, detail: "no" } };
    const { visitor } = await connectedVisitor(server);
    await pass(60_000);
    expect(state(visitor)).toBe(expected);
    expect(server.posts).toHaveLength(1);
  });

  it("waits as long as a 429 says, even when the person comes back meanwhile", async () => {
    const server = new FakeServer();
    server.problem = { status: 429, body: { code: "rate_limited", retry_after_s: 30 } };
    const { visitor, tab } = await connectedVisitor(server);
    server.problem = null;
    tab.wake();
    await pass(29_000);
    expect(state(visitor)).toBe("waiting rate_limited");
    await pass(1_300);
    expect(state(visitor)).toBe("online");
  });

  it("takes a proxy's error page for something that passes", async () => {
    const server = new FakeServer();
    server.problem = { status: 404, body: {} };
    const { visitor } = await connectedVisitor(server);
    expect(state(visitor)).toBe("waiting unavailable");
  });
});

describe("close codes", () => {
  it.each([
    [1006, ""],
    [1001, ""],
    [4000, "server_error"],
    [4002, "slow_consumer"],
    [4003, "no_pong"],
    [4005, "resync"],
    [4499, "of_a_later_version"],
  ])("%i: comes back with backoff", async (code, reason) => {
    const { server, visitor } = await connectedVisitor();
    await pass(10_000);
    server.socket.drop(code, reason);
    expect(state(visitor)).toBe(`waiting ${reason || "connection_lost"}`);
    await pass(200);
    expect(server.sockets).toHaveLength(1);
    await pass(100);
    expect(server.sockets).toHaveLength(2);
    expect(state(visitor)).toBe("online");
    // The token still holds.
    expect(server.posts).toHaveLength(1);
  });

  it.each([
    [4500, "bad_protocol"],
    [4502, "connect_timeout"],
    [4503, "banned"],
    [4504, "too_many_sessions"],
    [4505, "version_too_old"],
    [4777, "closed"],
  ])("%i: stops, and no waking changes that", async (code, reason) => {
    const { server, visitor, tab } = await connectedVisitor();
    server.socket.drop(code);
    tab.wake();
    await pass(120_000);
    expect(state(visitor)).toBe(`stopped ${reason}`);
    expect(server.sockets).toHaveLength(1);
  });

  it("4001: comes back at a random moment within the window", async () => {
    const { server, visitor } = await connectedVisitor();
    server.socket.drop(4001);
    const { retryAt } = visitor.status.getSnapshot();
    expect(retryAt! - Date.now()).toBe(2_500);
    await pass(2_600);
    expect(state(visitor)).toBe("online");
  });

  it("4004: gets a new token first", async () => {
    const { server } = await connectedVisitor();
    server.socket.drop(4004);
    await pass();
    expect(server.commands("connect").map((c) => c["token"])).toEqual(["token1", "token2"]);
  });

  it("4004 again and again: slows down", async () => {
    const { server } = await connectedVisitor();
    server.overrides.set("connect", (_, socket) => (setTimeout(() => socket.drop(4004)), { silent: true }));
    server.socket.drop(4004);
    await pass(10_000);
    expect(server.sockets.length).toBeGreaterThan(3);
    expect(server.sockets.length).toBeLessThan(10);
  });

  it("4006: waits at least 5 s, even when woken", async () => {
    const { server, tab } = await connectedVisitor();
    server.socket.drop(4006);
    await pass(4_900);
    tab.wake();
    await pass();
    expect(server.sockets).toHaveLength(1);
    await pass(400);
    expect(server.sockets).toHaveLength(2);
  });

  it("4501 on a new token: stops", async () => {
    const server = new FakeServer();
    server.overrides.set("connect", (_, socket) => (setTimeout(() => socket.drop(4501)), { silent: true }));
    const { visitor } = await connectedVisitor(server);
    await pass(60_000);
    expect(state(visitor)).toBe("stopped unauthorized");
    expect(server.sockets).toHaveLength(1);
  });

  it("4501 on a token that was good before: asks for a session, once", async () => {
    const { server, visitor } = await connectedVisitor();
    server.socket.drop(4501);
    await pass();
    expect(state(visitor)).toBe("online");
    expect(server.posts).toHaveLength(2);
    server.overrides.set("connect", (_, socket) => (setTimeout(() => socket.drop(4501)), { silent: true }));
    server.socket.drop(4501);
    await pass(60_000);
    expect(state(visitor)).toBe("stopped unauthorized");
    expect(server.posts).toHaveLength(3);
  });

  it("starts again after a stop when asked to", async () => {
    const { server, visitor } = await connectedVisitor();
    server.socket.drop(4504);
    visitor.stop();
    visitor.start();
    await pass();
    expect(state(visitor)).toBe("online");
  });
});

describe("staying alive", () => {
  it("answers pings", async () => {
    const { server } = await connectedVisitor();
    server.socket.say({ type: "ping" });
    await pass();
    expect(server.commands("pong")).toHaveLength(1);
  });

  it("takes 40 s of silence for a dead link, and not less", async () => {
    const { server } = await connectedVisitor();
    server.socket.say({ type: "ping" });
    await pass(39_900);
    expect(server.sockets).toHaveLength(1);
    await pass(500);
    expect(server.sockets).toHaveLength(2);
    expect(server.sockets[0]!.closedBy).toBe("client");
  });

  it("wakes at once instead of waiting", async () => {
    const { server, tab, visitor } = await connectedVisitor();
    server.down = true;
    server.socket.drop(1006);
    await pass(30_000);
    expect(visitor.status.getSnapshot().state).toBe("waiting");
    server.down = false;
    tab.wake();
    await pass();
    expect(state(visitor)).toBe("online");
  });

  it("does not wait for silence when the browser says offline", async () => {
    const { server, tab, visitor } = await connectedVisitor();
    server.down = true;
    tab.lose();
    expect(visitor.status.getSnapshot().state).toBe("waiting");
    await pass(3_000);
    server.down = false;
    tab.lose();
    tab.wake();
    await pass();
    expect(state(visitor)).toBe("online");
  });

  it("does not trust a socket that slept with the machine", async () => {
    const { server, tab } = await connectedVisitor();
    // Time passes, but no timer runs.
    vi.setSystemTime(Date.now() + 3_600_000);
    tab.wake();
    await pass(600);
    expect(server.sockets).toHaveLength(2);
    // An hour is more than a token's life.
    expect(server.commands("connect").at(-1)!["token"]).toBe("token2");
  });

  it("does not wait for a clock that was set back by an hour", async () => {
    const { server, visitor } = await connectedVisitor();
    server.begin("c1", ["x"]);
    const { conversation } = visitor.open("before");
    await pass();
    server.socket.say({ type: "typing", conversation: "c2", by: { kind: "agent", id: "a1" }, on: true });
    await pass();
    expect(visitor.conversation(conversation).getSnapshot()!.typing).toHaveLength(1);
    vi.setSystemTime(Date.now() - 3_600_000);
    for (let i = 0; i < 40; i++) visitor.send(conversation, `${i}`);
    await pass(6_000);
    expect(visitor.conversation(conversation).getSnapshot()!.thread.last).toBe(41);
    expect(visitor.conversation(conversation).getSnapshot()!.typing).toEqual([]);
    server.deaf = true;
    await pass(90_000);
    expect(server.sockets.length).toBeGreaterThan(1);
  });

  it("renews the token over the socket when told that it expires", async () => {
    const { server, visitor } = await connectedVisitor();
    server.socket.say({ type: "token_expiring", in_ms: 30_000 });
    await pass();
    expect(server.commands("refresh")).toEqual([expect.objectContaining({ token: "token2" })]);
    expect(server.sockets).toHaveLength(1);
    await pass(10_000);
    server.socket.drop(1006);
    await pass(600);
    expect(server.commands("connect").at(-1)!["token"]).toBe("token2");
    expect(state(visitor)).toBe("online");
  });

  it("reconnects after a frame that is no JSON", async () => {
    const { server, visitor } = await connectedVisitor();
    server.socket.sayRaw('{"type":"ping"}\n{oops');
    await pass(600);
    expect(server.sockets).toHaveLength(2);
    expect(state(visitor)).toBe("online");
  });

  it("goes into the back/forward cache without a socket, and comes back with one", async () => {
    const { server, tab, visitor } = await connectedVisitor();
    tab.page(false);
    await pass();
    expect(server.open).toHaveLength(0);
    tab.page(true);
    await pass();
    expect(server.open).toHaveLength(1);
    expect(state(visitor)).toBe("online");
  });
});

describe("frames", () => {
  it("reads several objects in one frame, in order", async () => {
    const { server, visitor } = await connectedVisitor();
    const conversation = server.begin("c1");
    const from = { kind: "agent", id: "a1", name: "Grace" } as const;
    for (const text of ["one", "two"]) server.append("c1", { event: "message", body: { text }, from }, false);
    server.socket.say(...conversation.thread.map((entry) => ({ ...entry, type: "entry" })), { type: "notice", level: "info", text: "hi" });
    await pass();
    expect(visitor.conversation("c1").getSnapshot()!.thread.last).toBe(2);
    expect(visitor.notice.getSnapshot()).toEqual({ level: "info", text: "hi" });
  });

  it("sends at most 16 objects and 64 KiB in one frame, whatever is written in one turn", async () => {
    const { server, visitor } = await connectedVisitor();
    for (let i = 0; i < 15; i++) visitor.open("ü".repeat(7_000));
    for (let i = 0; i < 20; i++) visitor.page({ url: "https://x.test/", title: `${i}` });
    await pass();
    const batches = server.socket.batches.slice(1);
    expect(batches.flat()).toHaveLength(35);
    expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(16);
    const bytes = batches.map((batch) => Buffer.byteLength(batch.map((o) => JSON.stringify(o)).join("\n")));
    expect(Math.max(...bytes)).toBeLessThanOrEqual(65_536);
    expect(batches.length).toBeLessThan(10);
  });

  it("never sends an object that alone would break the limit", async () => {
    const { server, visitor } = await connectedVisitor();
    visitor.page({ url: `https://x.test/${"x".repeat(70_000)}`, title: "" });
    await pass();
    expect(server.commands("page")).toHaveLength(0);
    expect(state(visitor)).toBe("online");
  });

  it("counts the seq of an event that it does not know, and skips a frame that it does not know", async () => {
    const { server, visitor } = await connectedVisitor();
    server.begin("c1");
    server.append("c1", { event: "exploded", body: { in: 3 }, from: { kind: "system" } });
    server.socket.say({ type: "hologram" });
    server.say("after", "c1");
    await pass();
    expect(server.commands("history")).toEqual([]);
    expect(visitor.conversation("c1").getSnapshot()!.thread.last).toBe(2);
  });
});

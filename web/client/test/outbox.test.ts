import { describe, expect, it } from "vitest";
import { connectedVisitor, FakeServer, onFakeTime, pass, shown, stored, type Json } from "./fake/index.ts";

onFakeTime();

/** Refuses the next command of this type. */
function refuse(server: FakeServer, type: string, error: Json): void {
  server.overrides.set(type, ({ id }, socket) => {
    server.overrides.delete(type);
    socket.say({ type: "error", id, message: "no", ...error });
    return { silent: true };
  });
}

async function withChat() {
  const server = new FakeServer();
  server.begin("c1", ["hello"]);
  return connectedVisitor(server);
}

const pendingOf = (visitor: Awaited<ReturnType<typeof withChat>>["visitor"], id: string) => visitor.conversation(id).getSnapshot()!.pending;

describe("sending", () => {
  it("shows a text at once, and exactly once when it is stored", async () => {
    const { server, visitor } = await withChat();
    const write = visitor.send("c1", "hi");
    expect(pendingOf(visitor, "c1")).toEqual([expect.objectContaining({ text: "hi", key: write.key, lane: "thread" })]);
    await pass();
    expect(await write.settled).toMatchObject({ ok: true, reply: { seq: 2, duplicate: false } });
    expect(shown(visitor, "c1")).toEqual(["hello", "hi"]);
    expect(pendingOf(visitor, "c1")).toEqual([]);
    expect(stored(server, "c1")).toEqual(["hello", "hi"]);
  });

  it("stays shown as sent while only the acknowledgement is there", async () => {
    const { server, visitor } = await withChat();
    server.overrides.set("send", () => ({ seq: 2, entry: "e9", at: Date.now(), duplicate: false }));
    visitor.send("c1", "hi");
    await pass();
    expect(pendingOf(visitor, "c1")).toEqual([expect.objectContaining({ state: "sent" })]);
    server.socket.say({ type: "entry", conversation: "c1", epoch: "k1", seq: 2, entry: "e9", at: 1, key: pendingOf(visitor, "c1")[0]!.key, from: { kind: "visitor", id: "v1" }, event: "message", body: { text: "hi" } });
    await pass();
    expect(shown(visitor, "c1")).toEqual(["hello", "hi"]);
    expect(pendingOf(visitor, "c1")).toEqual([]);
  });

  it("is not shown twice while its entry is there before the acknowledgement", async () => {
    const { server, visitor } = await withChat();
    server.mute = true;
    visitor.send("c1", "hi");
    await pass();
    expect(shown(visitor, "c1")).toEqual(["hello", "hi"]);
    expect(pendingOf(visitor, "c1")).toEqual([]);
  });

  it("begins another conversation when the server does not know this one any more", async () => {
    const { server, visitor } = await withChat();
    refuse(server, "send", { code: "not_found" });
    const [first, second] = [visitor.send("c1", "are you there?"), visitor.send("c1", "hello?")];
    await pass(1_000);
    expect(await first.settled).toMatchObject({ ok: true });
    expect(await second.settled).toMatchObject({ ok: true });
    const [begun] = visitor.conversations.getSnapshot();
    expect(visitor.conversations.getSnapshot()).toEqual([begun]);
    expect(begun).not.toBe("c1");
    expect(shown(visitor, begun!)).toEqual(["are you there?", "hello?"]);
    expect(shown(visitor, "c1")).toEqual(["are you there?", "hello?"]);
    expect(pendingOf(visitor, begun!)).toEqual([]);
    expect(server.commands("open").map(({ key }) => key)).toEqual([first.key]);
  });

  it("sends again after a lost acknowledgement: stored once, shown once", async () => {
    const { server, visitor } = await withChat();
    server.mute = true;
    const write = visitor.send("c1", "hi");
    await pass();
    server.socket.drop(1006);
    server.mute = false;
    await pass(600);
    expect(await write.settled).toMatchObject({ ok: true, reply: { duplicate: true } });
    const sent = server.commands("send");
    expect(sent).toHaveLength(2);
    expect(sent[1]!["key"]).toBe(sent[0]!["key"]);
    expect(sent[1]!["body"]).toEqual(sent[0]!["body"]);
    expect(stored(server, "c1")).toEqual(["hello", "hi"]);
    expect(shown(visitor, "c1")).toEqual(["hello", "hi"]);
    expect(pendingOf(visitor, "c1")).toEqual([]);
  });

  it("fetches its entry when only the acknowledgement of a repetition tells that it was stored", async () => {
    const { server, visitor } = await withChat();
    server.overrides.set("send", ({ key }) => {
      server.append("c1", { event: "message", body: { text: "hi" }, key, from: { kind: "visitor", id: "v1" } }, false);
      return { seq: 2, entry: "e", at: 1, duplicate: true };
    });
    visitor.send("c1", "hi");
    await pass();
    expect(shown(visitor, "c1")).toEqual(["hello", "hi"]);
    expect(pendingOf(visitor, "c1")).toEqual([]);
  });

  it("keeps the order within a conversation, also over a reconnect in the middle", async () => {
    const { server, visitor } = await withChat();
    const texts = Array.from({ length: 12 }, (_, i) => `${i}`);
    for (const text of texts) visitor.send("c1", text);
    await pass(5);
    server.socket.drop(1006);
    await pass(2_000);
    expect(stored(server, "c1")).toEqual(["hello", ...texts]);
    expect(shown(visitor, "c1")).toEqual(["hello", ...texts]);
  });

  it("does not let one conversation wait for another", async () => {
    const { server, visitor } = await withChat();
    server.begin("c2");
    server.append("c2", { event: "message", body: { text: "x" }, from: { kind: "system" } });
    await pass();
    server.overrides.set("send", ({ conversation }) => (conversation === "c1" ? { silent: true } : undefined));
    visitor.send("c1", "stuck");
    visitor.send("c2", "fine");
    await pass();
    expect(shown(visitor, "c2")).toEqual(["x", "fine"]);
    expect(pendingOf(visitor, "c1")[0]!.state).toBe("sending");
  });

  it("stays below the server's rate by itself", async () => {
    const { server, visitor } = await withChat();
    for (let i = 0; i < 60; i++) visitor.send("c1", `${i}`);
    await pass(2_000);
    const early = stored(server, "c1").length;
    expect(early).toBeGreaterThan(20);
    expect(early).toBeLessThanOrEqual(1 + 20 + 2 * 10);
    await pass(8_000);
    expect(stored(server, "c1")).toHaveLength(61);
  });
});

describe("refusals", () => {
  it("with a time to wait: tried again unchanged after that time, and not before", async () => {
    const { server, visitor } = await withChat();
    refuse(server, "send", { code: "unavailable", retry_ms: 3_000 });
    const write = visitor.send("c1", "hi");
    visitor.send("c1", "second");
    await pass(2_900);
    expect(server.commands("send")).toHaveLength(1);
    expect(pendingOf(visitor, "c1").map(({ state }) => state)).toEqual(["queued", "queued"]);
    await pass(200);
    expect(await write.settled).toMatchObject({ ok: true });
    expect(stored(server, "c1")).toEqual(["hello", "hi", "second"]);
    expect(server.commands("send").filter(({ key }) => key === write.key)).toHaveLength(2);
  });

  it("rate_limited holds everything back, in every conversation", async () => {
    const { server, visitor } = await withChat();
    server.begin("c2", ["x"]);
    refuse(server, "send", { code: "rate_limited", retry_ms: 800 });
    visitor.send("c1", "hi");
    await pass();
    visitor.open("new");
    await pass(700);
    expect(server.commands("open")).toHaveLength(0);
    await pass(200);
    expect(server.commands("open")).toHaveLength(1);
    expect(stored(server, "c1")).toEqual(["hello", "hi"]);
  });

  it("without one: failed, the text intact, the following ones go on", async () => {
    const { server, visitor } = await withChat();
    refuse(server, "send", { code: "forbidden" });
    const write = visitor.send("c1", "hi");
    visitor.send("c1", "next");
    await pass();
    expect(await write.settled).toEqual({ ok: false, error: { code: "forbidden", message: "no", retryable: false } });
    expect(pendingOf(visitor, "c1")).toEqual([expect.objectContaining({ text: "hi", state: "failed", error: expect.objectContaining({ code: "forbidden" }) })]);
    expect(stored(server, "c1")).toEqual(["hello", "next"]);
    await pass(60_000);
    expect(server.commands("send")).toHaveLength(2);
  });

  it("retry sends a failed text under a new key", async () => {
    const { server, visitor } = await withChat();
    refuse(server, "send", { code: "forbidden" });
    const write = visitor.send("c1", "hi");
    await pass();
    visitor.retry(write.key);
    await pass();
    expect(shown(visitor, "c1")).toEqual(["hello", "hi"]);
    expect(pendingOf(visitor, "c1")).toEqual([]);
    expect(server.commands("send").map((c) => c["key"])[1]).not.toBe(write.key);
  });

  it("internal errors end after a few tries; then retry keeps the key, for it may have been stored", async () => {
    const { server, visitor } = await withChat();
    server.overrides.set("send", ({ id }, socket) => (socket.say({ type: "error", id, code: "internal", message: "trace 7", retry_ms: 1_000 }), { silent: true }));
    const write = visitor.send("c1", "hi");
    await pass(30_000);
    expect(server.commands("send")).toHaveLength(5);
    expect(pendingOf(visitor, "c1")[0]).toMatchObject({ state: "failed", error: { code: "internal", retryable: true } });
    server.overrides.delete("send");
    visitor.retry(write.key);
    await pass();
    expect(new Set(server.commands("send").map((c) => c["key"]))).toEqual(new Set([write.key]));
    expect(stored(server, "c1")).toEqual(["hello", "hi"]);
  });

  it("discard takes a failed text away for good", async () => {
    const { server, visitor } = await withChat();
    refuse(server, "send", { code: "forbidden" });
    const write = visitor.send("c1", "hi");
    await pass();
    visitor.discard(write.key);
    await pass();
    expect(pendingOf(visitor, "c1")).toEqual([]);
    server.socket.drop(1006);
    await pass(2_000);
    expect(stored(server, "c1")).toEqual(["hello"]);
  });

  it("does not take back what is on its way", async () => {
    const { server, visitor } = await withChat();
    const write = visitor.send("c1", "hi");
    await pass(1);
    visitor.discard(write.key);
    await pass();
    expect(shown(visitor, "c1")).toEqual(["hello", "hi"]);
    expect(stored(server, "c1")).toEqual(["hello", "hi"]);
  });

  it("a text that does not fit a frame fails here, without ending the connection", async () => {
    const { server, visitor } = await withChat();
    const write = visitor.send("c1", "x".repeat(70_000));
    visitor.send("c1", "😀".repeat(8_000));
    await pass();
    expect(await write.settled).toMatchObject({ ok: false, error: { code: "too_large" } });
    expect(pendingOf(visitor, "c1").map(({ state }) => state)).toEqual(["failed"]);
    expect(server.commands("send")).toHaveLength(1);
    expect(stored(server, "c1")).toHaveLength(2);
  });

  it("close and rate that are refused are told, and not kept", async () => {
    const { server, visitor } = await withChat();
    refuse(server, "close", { code: "conflict" });
    const write = visitor.close("c1");
    await pass();
    expect(await write.settled).toMatchObject({ ok: false, error: { code: "conflict" } });
    visitor.retry(write.key);
    await pass(10_000);
    expect(server.commands("close")).toHaveLength(1);
  });

  it("is bounded: what is too much is refused at once, and says so", async () => {
    const { server, visitor } = await withChat();
    server.down = true;
    server.socket.drop(1006);
    const writes = Array.from({ length: 201 }, (_, i) => visitor.send("c1", `${i}`));
    expect(await writes[200]!.settled).toMatchObject({ ok: false, error: { code: "full" } });
    expect(pendingOf(visitor, "c1")).toHaveLength(200);
  });
});

describe("opening a conversation", () => {
  it("works offline with more texts behind it, under one id that stays good", async () => {
    const server = new FakeServer();
    server.down = true;
    const { visitor } = await connectedVisitor(server);
    const { conversation, settled } = visitor.open("first", { fields: { email: "ada@example.org" } });
    visitor.send(conversation, "second");
    const ids = [visitor.conversations.getSnapshot()];
    visitor.conversations.subscribe(() => ids.push(visitor.conversations.getSnapshot()));
    expect(visitor.conversation(conversation).getSnapshot()).toMatchObject({ local: true, pending: [{ text: "first" }, { text: "second" }] });
    server.down = false;
    await pass(25_000);
    expect(await settled).toMatchObject({ ok: true, reply: { conversation: "c1" } });
    visitor.send(conversation, "third");
    await pass();
    expect(stored(server, "c1")).toEqual(["first", "second", "third"]);
    expect(shown(visitor, conversation)).toEqual(["first", "second", "third"]);
    expect(visitor.conversation(conversation).getSnapshot()).toBe(visitor.conversation("c1").getSnapshot());
    expect(visitor.conversation(conversation).getSnapshot()).toMatchObject({ id: "c1", local: false, live: true, pending: [] });
    expect(ids.at(-1)).toEqual(["c1"]);
    expect(server.commands("open")[0]).toMatchObject({ fields: { email: "ada@example.org" } });
  });

  it("is one conversation also while its entry is there before the acknowledgement", async () => {
    const { server, visitor } = await connectedVisitor();
    server.mute = true;
    const { conversation } = visitor.open("first");
    await pass();
    expect(visitor.conversations.getSnapshot()).toEqual(["c1"]);
    expect(shown(visitor, conversation)).toEqual(["first"]);
  });

  it("opens one conversation even when the acknowledgement is lost", async () => {
    const { server, visitor } = await connectedVisitor();
    server.mute = true;
    const { conversation } = visitor.open("first");
    visitor.send(conversation, "second");
    await pass();
    server.socket.drop(1006);
    server.mute = false;
    await pass(600);
    expect(server.conversations.size).toBe(1);
    expect(shown(visitor, conversation)).toEqual(["first", "second"]);
    expect(visitor.conversations.getSnapshot()).toEqual(["c1"]);
  });

  it("that was refused waits for the person, with what follows it", async () => {
    const { server, visitor } = await connectedVisitor();
    refuse(server, "open", { code: "bad_request" });
    const { conversation, key } = visitor.open("bad");
    visitor.send(conversation, "good");
    await pass(5_000);
    expect(pendingOf(visitor, conversation).map(({ state }) => state)).toEqual(["failed", "queued"]);
    visitor.discard(key);
    await pass();
    expect(stored(server, "c1")).toEqual(["good"]);
    expect(shown(visitor, conversation)).toEqual(["good"]);
  });

  it("that was refused and taken back leaves nothing", async () => {
    const { server, visitor } = await connectedVisitor();
    refuse(server, "open", { code: "bad_request" });
    const { conversation, key } = visitor.open("bad");
    await pass();
    visitor.discard(key);
    await pass();
    expect(visitor.conversation(conversation).getSnapshot()).toBeUndefined();
    expect(visitor.conversations.getSnapshot()).toEqual([]);
  });

  it("that was refused can be tried again", async () => {
    const { server, visitor } = await connectedVisitor();
    refuse(server, "open", { code: "bad_request" });
    const { conversation, key } = visitor.open("first");
    visitor.send(conversation, "second");
    await pass();
    visitor.retry(key);
    await pass();
    expect(visitor.conversation(conversation).getSnapshot()!.local).toBe(false);
    expect(stored(server, "c1")).toEqual(["first", "second"]);
  });
});

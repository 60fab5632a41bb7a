import { describe, expect, it } from "vitest";
import { aVisitor, connectedVisitor, FakeServer, Machine, MemoryStorage, onFakeTime, pass, shown, stored } from "./fake/index.ts";

onFakeTime();

describe("what outlives a reload", () => {
  async function written(mode: "none" | "tab" | "device") {
    const server = new FakeServer();
    const machine = new Machine(server);
    const storage = new MemoryStorage();
    const tab = machine.tab({ storage });
    const visitor = aVisitor(tab, { storage: mode });
    visitor.start();
    await pass();
    server.down = true;
    server.socket.drop(1006);
    const { conversation } = visitor.open("first");
    visitor.send(conversation, "second");
    await pass();
    const reload = async () => {
      tab.kill();
      server.down = false;
      const next = aVisitor(machine.tab({ storage }), { storage: mode });
      const remembered = next.remembers();
      next.start();
      await pass(100);
      return { next, remembered };
    };
    return { server, machine, storage, reload };
  }

  it.each(["tab", "device"] as const)("%s: the visitor and all that was not sent, once and in order", async (mode) => {
    const { server, reload, machine, storage } = await written(mode);
    expect((mode === "tab" ? storage : machine.device).items.size).toBe(1);
    expect((mode === "tab" ? machine.device : storage).items.size).toBe(0);
    const { next, remembered } = await reload();
    expect(remembered).toBe(true);
    expect(server.posts.at(-1)).toMatchObject({ resume: "resume-v1" });
    expect(stored(server, "c1")).toEqual(["first", "second"]);
    expect(shown(next, "c1")).toEqual(["first", "second"]);
  });

  it("none: nothing", async () => {
    const { server, reload, machine, storage } = await written("none");
    expect(machine.device.items.size + storage.items.size).toBe(0);
    const { remembered } = await reload();
    expect(remembered).toBe(false);
    expect(server.posts.at(-1)).not.toHaveProperty("resume");
    expect(server.conversations.size).toBe(0);
  });

  it("a text in a conversation whose opening was acknowledged meanwhile finds it", async () => {
    const server = new FakeServer();
    const machine = new Machine(server);
    const storage = new MemoryStorage();
    const tab = machine.tab({ storage });
    const visitor = aVisitor(tab, { storage: "tab" });
    visitor.start();
    await pass();
    server.overrides.set("send", () => ({ silent: true }));
    const { conversation } = visitor.open("first");
    visitor.send(conversation, "second");
    await pass();
    tab.kill();
    server.overrides.clear();
    const next = aVisitor(machine.tab({ storage }), { storage: "tab" });
    next.start();
    await pass(100);
    expect(stored(server, "c1")).toEqual(["first", "second"]);
    expect(shown(next, "c1")).toEqual(["first", "second"]);
  });

  it("does not send twice what was stored before the reload", async () => {
    const server = new FakeServer();
    const machine = new Machine(server);
    const storage = new MemoryStorage();
    server.mute = false;
    const tab = machine.tab({ storage });
    const visitor = aVisitor(tab, { storage: "tab" });
    visitor.start();
    await pass();
    server.mute = true;
    visitor.open("first");
    await pass();
    tab.kill();
    server.mute = false;
    const next = aVisitor(machine.tab({ storage }), { storage: "tab" });
    next.start();
    await pass(100);
    expect(server.conversations.size).toBe(1);
    expect(shown(next, "c1")).toEqual(["first"]);
    expect(next.conversations.getSnapshot()).toEqual(["c1"]);
  });

  it("stores nothing for a visitor who only looks", async () => {
    const server = new FakeServer();
    const machine = new Machine(server);
    const visitor = aVisitor(machine.tab(), { storage: "device" });
    visitor.start();
    await pass(1_000);
    expect(machine.device.items.size).toBe(0);
  });

  it("keeps no text once everything is acknowledged", async () => {
    const server = new FakeServer();
    const machine = new Machine(server);
    const visitor = aVisitor(machine.tab(), { storage: "device" });
    visitor.start();
    await pass();
    visitor.open("secret plan");
    await pass();
    const [text] = [...machine.device.items.values()];
    expect(JSON.parse(text!)).toEqual({ owner: "v1", resume: "resume-v1", outbox: [] });
    visitor.forget();
    expect(machine.device.items.size).toBe(0);
  });

  it("lives with a full and with an unreadable storage", async () => {
    const server = new FakeServer();
    const machine = new Machine(server);
    machine.device.items.set("deskbell:https://chat.test:pk_1", "{oops");
    machine.device.full = true;
    const visitor = aVisitor(machine.tab(), { storage: "device" });
    visitor.start();
    await pass();
    visitor.open("hi");
    await pass();
    expect(stored(server, "c1")).toEqual(["hi"]);
  });
});

describe("who the visitor is", () => {
  it("is asked for anew when the server does not know the resume token any more", async () => {
    const server = new FakeServer();
    const machine = new Machine(server);
    const storage = new MemoryStorage();
    storage.setItem("deskbell:https://chat.test:pk_1", JSON.stringify({ resume: "old", owner: "v0", outbox: [] }));
    const fetching = server.fetch;
    const tab = machine.tab({ storage });
    const browser = { ...tab.browser, fetch: (async (url: string, init: RequestInit) => {
      server.problem = String(init.body).includes('"old"') ? { status: 401, body: { code: "unauthorized" } } : null;
      return fetching(url, init);
    }) as typeof fetch };
    const visitor = aVisitor(tab, { storage: "tab", browser });
    visitor.start();
    await pass();
    expect(visitor.status.getSnapshot().state).toBe("online");
    expect(server.posts.map((post) => post["resume"])).toEqual(["old", undefined]);
  });

  it("starts over with nothing when it is another person", async () => {
    const { server, visitor, tab } = await connectedVisitor(new FakeServer(), { storage: "tab" });
    visitor.open("as nobody");
    await pass();
    expect(tab.storage.items.size).toBe(1);
    server.conversations.clear();
    server.subject = "v2";
    const done = visitor.identify("jwt-ada");
    await pass(50);
    await done;
    expect(server.posts.at(-1)).toMatchObject({ identity: "jwt-ada" });
    expect(visitor.self.getSnapshot()).toMatchObject({ id: "v2" });
    expect(visitor.conversations.getSnapshot()).toEqual([]);
    expect(visitor.conversation("c1").getSnapshot()).toBeUndefined();
    expect(tab.storage.items.size).toBe(0);
  });

  it("keeps what it shows, and what waits to be sent, when a stranger turns out to be somebody the site knows", async () => {
    const { server, visitor, tab } = await connectedVisitor(new FakeServer(), { storage: "tab" });
    const { conversation } = visitor.open("as nobody");
    await pass();
    const texts: string[][] = [];
    visitor.conversation(conversation).subscribe(() => texts.push(shown(visitor, conversation)));
    server.mute = true;
    visitor.send(conversation, "not acknowledged yet");
    await pass();
    server.mute = false;
    server.subject = "v2";
    server.was = "v1";
    const done = visitor.identify("jwt-ada");
    await pass(50);
    await done;
    expect(visitor.self.getSnapshot()).toMatchObject({ id: "v2" });
    expect(visitor.conversations.getSnapshot()).toEqual(["c1"]);
    expect(texts.every((seen) => seen[0] === "as nobody")).toBe(true);
    expect(shown(visitor, conversation)).toEqual(["as nobody", "not acknowledged yet"]);
    expect(stored(server, "c1")).toEqual(["as nobody", "not acknowledged yet"]);
    expect(server.commands("connect").at(-1)!["resume"]).toHaveLength(1);
    expect(JSON.parse([...tab.storage.items.values()][0]!)).toMatchObject({ owner: "v2", outbox: [] });
  });

  it("keeps the connection when it is the same person with a newer proof", async () => {
    const { server, visitor } = await connectedVisitor(new FakeServer(), { identity: "jwt-1" });
    const done = visitor.identify("jwt-2");
    await pass(50);
    await done;
    expect(server.sockets).toHaveLength(1);
    expect(server.posts.map((post) => post["identity"])).toEqual(["jwt-1", "jwt-2"]);
  });

  it("says its page on every connect", async () => {
    const { server, visitor } = await connectedVisitor();
    visitor.page({ url: "https://shop.test/a", title: "A" });
    await pass();
    server.socket.drop(1006);
    visitor.page({ url: "https://shop.test/b", title: "B" });
    await pass(600);
    expect(server.commands("page").map((c) => c["page"].title)).toEqual(["A", "B"]);
  });
});

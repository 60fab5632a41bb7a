import { afterEach, beforeEach, vi } from "vitest";
import { Agent } from "../../src/agent.ts";
import { Visitor, type VisitorOptions } from "../../src/visitor.ts";
import { Machine, type Tab } from "./machine.ts";
import { FakeServer } from "./server.ts";

export { FakeServer, type Json } from "./server.ts";
export { Machine, MemoryStorage, type Tab } from "./machine.ts";

export const SERVER = "https://chat.test";

/** Fake time in every test of the file, beginning at a fixed moment. */
export function onFakeTime(): void {
  beforeEach(() => void vi.useFakeTimers({ now: 1_800_000_000_000 }));
  afterEach(() => void vi.useRealTimers());
}

/** Lets everything that is due within this time happen. */
export const pass = (ms = 20) => vi.advanceTimersByTimeAsync(ms);

export function aVisitor(tab: Tab, options: Partial<VisitorOptions> = {}): Visitor {
  return new Visitor({ server: SERVER, project: "pk_1", storage: "none", browser: tab.browser, ...options });
}

export function anAgent(tab: Tab): Agent {
  return new Agent({ server: SERVER, browser: tab.browser });
}

/** A visitor that is connected, alone on its machine. */
export async function connectedVisitor(server = new FakeServer(), options: Partial<VisitorOptions> = {}) {
  const tab = new Machine(server).tab();
  const visitor = aVisitor(tab, options);
  visitor.start();
  await pass();
  return { server, tab, visitor };
}

export async function connectedAgent(server = new FakeServer()) {
  server.kind = "agent";
  server.subject = "a1";
  const tab = new Machine(server).tab();
  const agent = anAgent(tab);
  agent.start();
  await pass();
  return { server, tab, agent };
}

/** The texts that a person sees in a conversation: those in the thread, then the pending ones. */
export function shown(visitor: Pick<Visitor, "conversation">, id: string): string[] {
  const chat = visitor.conversation(id).getSnapshot();
  const thread = chat?.thread.entries.flatMap((entry) => (entry.event === "message" ? [entry.body.text] : [])) ?? [];
  return [...thread, ...(chat?.pending.map(({ text }) => text) ?? [])];
}

/** The texts that the server has stored. */
export function stored(server: FakeServer, id: string): string[] {
  return server.conversations.get(id)!.thread.flatMap((entry) => (entry.event === "message" ? [entry.body.text] : []));
}

import type { Entry, Event, Lane, Pending, Sender } from "@deskbell/client";
import { describe, expect, it } from "vitest";
import { type Item, itemsOf, newerThan, type Source } from "./items.ts";

const MINUTE = 60_000;
const NOON = new Date(2026, 4, 4, 12).getTime();
const visitor: Sender = { kind: "visitor", id: "v", name: "Ada" };
const grace: Sender = { kind: "agent", id: "g", name: "Grace" };
const system: Sender = { kind: "system" };

let count = 0;
function entry(seq: number, at: number, from: Sender, event: Event, lane?: "desk", key?: string): Entry {
  count += 1;
  return { ...event, seq, at, from, entry: `e${count}`, ...(lane === undefined ? {} : { lane }), ...(key === undefined ? {} : { key }) } as Entry;
}

function lane(entries: readonly Entry[]): Lane {
  return { entries, last: entries.at(-1)?.seq ?? 0, older: false };
}

function source(thread: readonly Entry[], desk: readonly Entry[] = [], pending: readonly Pending[] = [], [delivered, read] = [0, 0]): Source {
  return { thread: lane(thread), desk: lane(desk), pending, read: { visitor: read!, agent: 9 }, delivered: { visitor: delivered!, agent: 9 } };
}

const says = (text: string): Event => ({ event: "message", body: { text } });
const kinds = (items: readonly Item[]): string[] => items.map(({ kind }) => kind);
const groups = (items: readonly Item[]) => items.filter((item) => item.kind === "group");

describe("items of a thread", () => {
  it("groups what one person says without a longer pause", () => {
    const items = itemsOf(
      source([
        entry(1, NOON, visitor, says("one")),
        entry(2, NOON + MINUTE, visitor, says("two")),
        entry(3, NOON + 20 * MINUTE, visitor, says("three")),
        entry(4, NOON + 21 * MINUTE, grace, says("four")),
      ]),
      "g",
      null,
    );
    expect(kinds(items)).toEqual(["day", "group", "group", "group"]);
    expect(groups(items).map(({ messages, own }) => [messages.length, own])).toEqual([[2, false], [1, false], [1, true]]);
  });

  it("puts both lanes on one line of time and never groups a note with a reply", () => {
    const items = itemsOf(
      source([entry(1, NOON, grace, says("reply"))], [entry(1, NOON + 1, grace, { event: "note", body: { text: "note" } }, "desk")]),
      "g",
      null,
    );
    expect(groups(items).map(({ lane }) => lane)).toEqual(["thread", "desk"]);
  });

  it("marks each day once", () => {
    const items = itemsOf(source([entry(1, NOON - 24 * 60 * MINUTE, visitor, says("a")), entry(2, NOON, visitor, says("b")), entry(3, NOON + 1, visitor, says("c"))]), "g", null);
    expect(kinds(items)).toEqual(["day", "group", "day", "group"]);
  });

  it("tells an assignment once, though both lanes know of it", () => {
    const joined = entry(2, NOON + 5, system, { event: "joined", body: { agent: { id: "g", name: "Grace" } } });
    const assigned = entry(1, NOON + 5, grace, { event: "assigned", body: { to: "g", by: "g" } }, "desk");
    const items = itemsOf(source([entry(1, NOON, visitor, says("hi")), joined], [assigned]), "g", null);
    expect(items.filter(({ kind }) => kind === "line")).toHaveLength(1);
    expect(itemsOf(source([joined]), "g", null).filter(({ kind }) => kind === "line")).toHaveLength(1);
  });

  it("joins pages that follow each other", () => {
    const page = (seq: number, at: number) => entry(seq, at, visitor, { event: "page", body: { url: "https://x.example", title: "X" } }, "desk");
    const items = itemsOf(source([entry(1, NOON + 2, visitor, says("hi"))], [page(1, NOON), page(2, NOON + 1), page(3, NOON + 3)]), "g", null);
    expect(kinds(items)).toEqual(["day", "pages", "group", "pages"]);
  });

  it("draws the line above the first unread message of the visitor, once", () => {
    const thread = [entry(1, NOON, visitor, says("a")), entry(2, NOON + 1, grace, says("b")), entry(3, NOON + 2, visitor, says("c")), entry(4, NOON + 3, visitor, says("d"))];
    expect(kinds(itemsOf(source(thread), "g", 2))).toEqual(["day", "group", "group", "new", "group"]);
    expect(newerThan(thread, 1)).toBe(2);
  });

  it("shows what is on its way once, also when its entry is already there", () => {
    const pending = { key: "k", lane: "thread", text: "hi", at: NOON + 9, state: "sending" } as const;
    expect(groups(itemsOf(source([], [], [pending]), "g", null))[0]?.messages[0]?.state).toBe("sending");
    const stored = entry(1, NOON + 10, grace, says("hi"), undefined, "k");
    const both = groups(itemsOf(source([stored], [], [pending]), "g", null));
    expect(both.flatMap(({ messages }) => messages).map(({ state }) => state)).toEqual(["stored"]);
  });

  it("marks only the newest message that was sent, that arrived and that was read, each by the furthest", () => {
    const thread = [1, 2, 3, 4].map((seq) => entry(seq, NOON + seq, grace, says("a")));
    const marks = (delivered: number, read: number) => {
      const [group] = groups(itemsOf(source(thread, [entry(4, NOON + 9, grace, { event: "note", body: { text: "n" } }, "desk")], [], [delivered, read]), "g", null));
      return group?.messages.map(({ mark }) => mark);
    };
    expect(marks(0, 0)).toEqual([undefined, undefined, undefined, "sent"]);
    expect(marks(3, 0)).toEqual([undefined, undefined, "delivered", "sent"]);
    expect(marks(3, 1)).toEqual(["seen", undefined, "delivered", "sent"]);
    expect(marks(4, 2)).toEqual([undefined, "seen", undefined, "delivered"]);
    expect(marks(1, 3)).toEqual([undefined, undefined, "seen", "sent"]);
    expect(marks(4, 4)).toEqual([undefined, undefined, undefined, "seen"]);
  });
});

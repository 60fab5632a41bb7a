import type { Conversation, Entry, Pending, Sender } from "@deskbell/client";
import { describe, expect, test } from "vitest";
import { rowsOf, type MessageRow, type Row } from "../src/later/rows.ts";

const VISITOR: Sender = { kind: "visitor", id: "v" };
const GRACE: Sender = { kind: "agent", id: "g", name: "Grace" };
const ADA: Sender = { kind: "agent", id: "a", name: "Ada" };
const NOON = new Date(2026, 4, 4, 12).getTime();
const MINUTE = 60_000;

let seq = 0;
const said = (from: Sender, at: number, text = "x"): Entry => {
  seq += 1;
  return { event: "message", body: { text }, from, at, seq, entry: `e${seq}`, ...(from === VISITOR && { key: `k${seq}` }) };
};

function conversation(entries: readonly Entry[], more: Partial<Conversation> = {}): Conversation {
  const empty = { entries: [], last: 0, older: false };
  return {
    id: "c",
    local: false,
    epoch: "1",
    status: "open",
    thread: { entries, last: entries.at(-1)?.seq ?? 0, older: false },
    desk: empty,
    pending: [],
    read: { visitor: 0, agent: 0 },
    delivered: { visitor: 0, agent: 0 },
    unread: 0,
    typing: [],
    viewing: [],
    live: true,
    ...more,
  };
}

const messages = (rows: readonly Row[]) => rows.filter((row): row is MessageRow => row.kind === "message");
const shape = (rows: readonly Row[]) =>
  rows.map((row) => (row.kind === "message" ? `${row.own ? "o" : "t"}${row.first ? "[" : ""}${row.last ? "]" : ""}` : row.kind)).join(" ");

describe("grouping", () => {
  test("messages of one person within five minutes stand together", () => {
    const rows = rowsOf(conversation([said(GRACE, NOON), said(GRACE, NOON + MINUTE), said(GRACE, NOON + 2 * MINUTE), said(VISITOR, NOON + 3 * MINUTE)]));
    expect(shape(rows)).toBe("day t[ t t] o[]");
  });

  test("a longer break, another person, or an event ends a group", () => {
    const left: Entry = { event: "left", body: { agent: { id: "g", name: "Grace" } }, from: { kind: "system" }, at: NOON + 7 * MINUTE, seq: 9, entry: "l" };
    const rows = rowsOf(conversation([said(GRACE, NOON), said(GRACE, NOON + 6 * MINUTE), left, said(GRACE, NOON + 8 * MINUTE), said(ADA, NOON + 8 * MINUTE)]));
    expect(shape(rows)).toBe("day t[] t[] event t[] t[]");
  });

  test("midnight ends a group and brings a day mark", () => {
    const midnight = new Date(2026, 4, 5).getTime();
    const rows = rowsOf(conversation([said(GRACE, midnight - 1000), said(GRACE, midnight + 1000)]));
    expect(shape(rows)).toBe("day t[] day t[]");
    expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
  });

  test("an event that is not known shows nothing", () => {
    const odd = { event: "sang", body: {}, from: GRACE, at: NOON, seq: 99, entry: "z" } as unknown as Entry;
    expect(rowsOf(conversation([odd]))).toEqual([]);
  });
});

describe("delivery", () => {
  const pending = (state: Pending["state"], key: string): Pending => ({ key, lane: "thread", text: "p", at: NOON + MINUTE, state });

  test("read follows the agent's mark, and only the newest own message says so", () => {
    const [one, two] = [said(VISITOR, NOON), said(VISITOR, NOON)];
    const rows = messages(rowsOf(conversation([one, two], { read: { visitor: 0, agent: one.seq } })));
    expect(rows.map(({ delivery, showDelivery }) => [delivery, showDelivery])).toEqual([
      ["read", false],
      ["sent", true],
    ]);
  });

  test("a message is sent, then on a device of the team, then read; what was read has arrived", () => {
    const own = said(VISITOR, NOON);
    const states = [
      [0, 0],
      [own.seq, 0],
      [own.seq, own.seq],
      [0, own.seq],
    ].map(([delivered, read]) => {
      const marks = { delivered: { visitor: 0, agent: delivered! }, read: { visitor: 0, agent: read! } };
      return messages(rowsOf(conversation([own], marks)))[0]!.delivery;
    });
    expect(states).toEqual(["sent", "delivered", "read", "read"]);
  });

  test("an answer means that it was read", () => {
    const rows = messages(rowsOf(conversation([said(VISITOR, NOON), said(GRACE, NOON), said(VISITOR, NOON)])));
    expect(rows.map(({ delivery }) => delivery)).toEqual(["read", undefined, "sent"]);
  });

  test("what waits stands after what is stored; every failed one says so and stands for itself", () => {
    const rows = messages(rowsOf(conversation([said(VISITOR, NOON)], { pending: [pending("failed", "f"), pending("queued", "q"), pending("sending", "s")] })));
    expect(rows.map(({ delivery, showDelivery }) => [delivery, showDelivery])).toEqual([
      ["sent", false],
      ["failed", true],
      ["sending", false],
      ["sending", true],
    ]);
    expect(shape(rows)).toBe("o[ o] o[ o]");
  });

  test("a message keeps its key when it is stored", () => {
    const stored = said(VISITOR, NOON);
    const before = messages(rowsOf(conversation([], { pending: [pending("sent", stored.key!)] })));
    const after = messages(rowsOf(conversation([stored])));
    expect(before[0]!.key).toBe(after[0]!.key);
  });
});

test("the first unread message of the other side is marked, once", () => {
  const entries = [said(GRACE, NOON), said(VISITOR, NOON + 1), said(GRACE, NOON + 2), said(GRACE, NOON + 3)];
  const rows = rowsOf(conversation(entries), entries[0]!.seq);
  expect(shape(rows)).toBe("day t[] o[] unread t[ t]");
  expect(shape(rowsOf(conversation(entries)))).not.toContain("unread");
});

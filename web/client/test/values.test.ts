/** The parts that are plain functions of values. */
import { describe, expect, it, vi } from "vitest";
import { timeline } from "../src/agent.ts";
import { Cell } from "../src/cell.ts";
import { Heads, InboxView } from "../src/inbox.ts";
import { createKey } from "../src/keys.ts";
import { append, laneAt, NO_ENTRIES, prepend, trim } from "../src/lane.ts";
import { backoffMs, ending } from "../src/policy.ts";
import type { Lane } from "../src/state.ts";
import type { Entry, Head } from "../src/wire.ts";

const entry = (seq: number, at = seq): Entry => ({ seq, entry: `e${seq}`, at, from: { kind: "system" }, event: "message", body: { text: `${seq}` } });
const entries = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => entry(from + i));
const seqs = (lane: Lane) => lane.entries.map(({ seq }) => seq);

describe("a lane", () => {
  it("takes each entry once and in order", () => {
    const lane = append(append(NO_ENTRIES, entries(1, 3)), [entry(5), entry(3), entry(4), entry(2)]);
    expect(seqs(lane)).toEqual([1, 2, 3, 4, 5]);
    expect(append(lane, entries(1, 5))).toBe(lane);
  });

  it("starts over rather than have a hole", () => {
    const lane = append(append(NO_ENTRIES, entries(1, 3)), entries(7, 8));
    expect(lane).toMatchObject({ last: 8, older: true });
    expect(seqs(lane)).toEqual([7, 8]);
  });

  it("knows whether there is something older", () => {
    expect(append(NO_ENTRIES, entries(1, 2)).older).toBe(false);
    expect(append(NO_ENTRIES, entries(2, 3)).older).toBe(true);
    expect(append(laneAt(1), entries(2, 3))).toMatchObject({ last: 3, older: true });
  });

  it("grows backwards without a hole", () => {
    const lane = append(NO_ENTRIES, entries(10, 12));
    expect(seqs(prepend(lane, entries(8, 9), true))).toEqual([8, 9, 10, 11, 12]);
    expect(prepend(lane, entries(5, 7), true)).toBe(lane);
    expect(prepend(lane, [], false).older).toBe(false);
  });

  it("forgets its oldest entries, and knows that it did", () => {
    const lane = trim(append(NO_ENTRIES, entries(1, 9)), 3);
    expect(seqs(lane)).toEqual([7, 8, 9]);
    expect(lane).toMatchObject({ last: 9, older: true });
  });
});

describe("a timeline", () => {
  it("interleaves by time, only as far back as both lanes are known", () => {
    const thread: Lane = { entries: [entry(5, 50), entry(6, 60), entry(7, 70)], last: 7, older: true };
    const desk: Lane = { entries: [entry(1, 10), entry(2, 55), entry(3, 60)], last: 3, older: false };
    const times = timeline({ thread, desk }).map(({ at, seq }) => `${at}/${seq}`);
    expect(times).toEqual(["50/5", "55/2", "60/6", "60/3", "70/7"]);
    expect(timeline({ thread, desk })).toBe(timeline({ thread, desk }));
  });
});

describe("the way back", () => {
  it("is spread over a ceiling from half a second to twenty", () => {
    expect([0, 1, 2, 5, 6, 50].map((attempt) => backoffMs(attempt, 1))).toEqual([500, 1_000, 2_000, 16_000, 20_000, 20_000]);
    expect(backoffMs(6, 0)).toBe(0);
  });

  it("knows every close code of the protocol", () => {
    const ways = [4000, 4001, 4002, 4003, 4004, 4005, 4006, 4500, 4501, 4502, 4503, 4504, 4505, 1006, 1009, 4321, 4998].map((code) => `${code} ${ending(code, "").then}`);
    expect(ways).toMatchInlineSnapshot(`
      [
        "4000 backoff",
        "4001 spread",
        "4002 backoff",
        "4003 backoff",
        "4004 renew",
        "4005 backoff",
        "4006 backoff",
        "4500 stop",
        "4501 stop",
        "4502 stop",
        "4503 stop",
        "4504 stop",
        "4505 stop",
        "1006 backoff",
        "1009 backoff",
        "4321 backoff",
        "4998 stop",
      ]
    `);
  });
});

describe("keys", () => {
  it("are unique and fit the protocol, also where the context is not secure", () => {
    expect(createKey()).toMatch(/^[0-9a-f-]{36}$/);
    vi.stubGlobal("crypto", { getRandomValues: crypto.getRandomValues.bind(crypto) });
    const keys = Array.from({ length: 50 }, createKey);
    vi.unstubAllGlobals();
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(keys).size).toBe(50);
  });
});

describe("the inbox at ten thousand heads", () => {
  const head = (i: number, at: number, seq = 1): Head => ({
    conversation: `c${i}`, epoch: "k", status: "open", seq, desk_seq: 0, visitor: { id: `v${i}` }, assignee: null, waiting_since: null, unread: 0, preview: "", at,
  });

  it("takes a push in far less than a frame", async () => {
    const heads = new Heads();
    heads.load(Array.from({ length: 10_000 }, (_, i) => head(i, i)));
    const view = new InboxView({ heads, me: () => "a", online: new Cell(true), query: async () => ({ ids: [] }) }, { status: "open", assignee: "any" });
    await Promise.resolve().then(() => {});
    expect(view.snapshot.getSnapshot().ids).toHaveLength(10_000);
    const begin = performance.now();
    for (let i = 0; i < 100; i++) heads.put(head(i * 97, 20_000 + i, 2));
    const each = (performance.now() - begin) / 100;
    expect(view.snapshot.getSnapshot().ids.slice(0, 2)).toEqual([`c${99 * 97}`, `c${98 * 97}`]);
    expect(new Set(view.snapshot.getSnapshot().ids).size).toBe(10_000);
    expect(each).toBeLessThan(8);
  });
});

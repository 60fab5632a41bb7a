import type { Head } from "@deskbell/client";
import { describe, expect, it } from "vitest";
import { attention, ringOf } from "./events.ts";

const head = (change: Partial<Head> = {}): Head => ({
  conversation: "c", epoch: "e", status: "open", seq: 2, desk_seq: 0, visitor: { id: "v" }, assignee: null, waiting_since: 1, unread: 2, preview: "", at: 1, ...change,
});

describe("what rings", () => {
  it("rings for a chat that is new, and ticks for another message", () => {
    expect(ringOf(undefined, head())).toBe("chat");
    expect(ringOf({ at: 0 }, head())).toBe("message");
  });

  it("is quiet about answers, reading, assignment and what is closed", () => {
    expect(ringOf({ at: 0 }, head({ waiting_since: null }))).toBeNull();
    expect(ringOf({ at: 1 }, head({ unread: 0 }))).toBeNull();
    expect(ringOf({ at: 1 }, head({ seq: 3, unread: 3, assignee: "me", desk_seq: 1 }))).toBeNull();
    expect(ringOf(undefined, head({ status: "closed" }))).toBeNull();
  });

  it("counts conversations, not messages", () => {
    expect(attention([head(), head({ unread: 0 }), undefined], 3)).toBe(4);
  });
});

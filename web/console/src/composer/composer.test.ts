import type { Entry, Sender } from "@deskbell/client";
import { beforeEach, describe, expect, it } from "vitest";
import { draftOf, forgetDrafts, fresh, loadDrafts, saveDrafts, setDraft, useDrafts } from "./drafts.ts";
import { changeSince, holdFor } from "./hold.ts";
import { lengthOf, LIMIT } from "./length.ts";

const DAY_MS = 24 * 3_600_000;

describe("drafts", () => {
  beforeEach(() => {
    localStorage.clear();
    useDrafts.setState({ owner: "", drafts: {}, modes: {} });
    loadDrafts("grace");
  });

  it("keeps one text for each conversation and mode", () => {
    setDraft("a", "reply", "hello", 3);
    setDraft("a", "note", "psst", 3);
    setDraft("b", "reply", "other", 1);
    expect([draftOf("a", "reply")?.text, draftOf("a", "note")?.text, draftOf("b", "reply")?.text]).toEqual(["hello", "psst", "other"]);
    setDraft("a", "reply", "", 0);
    expect(draftOf("a", "reply")).toBeUndefined();
  });

  it("survives a reload, and belongs to the agent who wrote it", () => {
    setDraft("a", "reply", "hello", 3);
    saveDrafts();
    loadDrafts("katherine");
    expect(draftOf("a", "reply")).toBeUndefined();
    loadDrafts("grace");
    expect(draftOf("a", "reply")).toMatchObject({ text: "hello", seen: 3 });
  });

  it("goes with an explicit sign-out", () => {
    setDraft("a", "reply", "hello", 3);
    saveDrafts();
    forgetDrafts();
    loadDrafts("grace");
    expect(draftOf("a", "reply")).toBeUndefined();
  });

  it("drops what is old, and starts empty when storage holds nonsense", () => {
    const now = 100 * DAY_MS;
    expect(Object.keys(fresh({ a: { text: "x", seen: 0, at: now - 15 * DAY_MS }, b: { text: "y", seen: 0, at: now } }, now))).toEqual(["b"]);
    localStorage.setItem("deskbell.drafts.linus", "{nonsense");
    loadDrafts("linus");
    expect(useDrafts.getState().drafts).toEqual({});
  });
});

describe("holding a reply", () => {
  const visitor: Sender = { kind: "visitor", id: "v", name: "Ada" };
  const me: Sender = { kind: "agent", id: "me", name: "Grace" };
  const other: Sender = { kind: "agent", id: "k", name: "Katherine" };
  const says = (seq: number, from: Sender): Entry => ({ event: "message", body: { text: "x" }, seq, entry: `${seq}`, at: seq, from });

  it("does not mind one's own messages or what was seen", () => {
    expect(changeSince([says(1, visitor), says(2, me)], 1, "me")).toBeNull();
  });

  it("names the visitor's message, and a colleague's before it", () => {
    expect(changeSince([says(1, visitor), says(2, visitor)], 1, "me")).toMatchObject({ kind: "visitor", seq: 2 });
    expect(changeSince([says(2, other), says(3, visitor)], 1, "me")).toMatchObject({ kind: "colleague", name: "Katherine", seq: 2 });
  });

  it("lets through what was written in one go, but not past a colleague", () => {
    expect(holdFor([says(2, visitor)], 1, "me", 300)).toBeNull();
    expect(holdFor([says(2, visitor)], 1, "me", 3_000)).toMatchObject({ kind: "visitor" });
    expect(holdFor([says(2, other)], 1, "me", 300)).toMatchObject({ kind: "colleague" });
  });

  it("notices that the conversation was closed", () => {
    const closed: Entry = { event: "closed", body: {}, seq: 2, entry: "2", at: 2, from: visitor };
    expect(changeSince([closed], 1, "me")).toMatchObject({ kind: "closed" });
  });
});

describe("length", () => {
  it("counts characters as the server does", () => {
    expect(lengthOf("🙂".repeat(LIMIT))).toBe(LIMIT);
    expect(lengthOf("e\u0301".repeat(LIMIT))).toBe(LIMIT);
    expect(lengthOf("abc")).toBe(3);
  });
});

import type { Entry, Sender } from "@deskbell/client";
import { beforeEach, describe, expect, it } from "vitest";
import { draftOf, forgetDrafts, fresh, loadDrafts, saveDrafts, setDraft, setMode, useDrafts } from "./drafts.ts";
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

  it("keeps whether a conversation was left in note mode, of the newest two hundred", () => {
    const modes = () => useDrafts.getState().modes;
    const reload = (): void => {
      saveDrafts();
      loadDrafts("katherine");
      expect(modes()).toEqual({});
      loadDrafts("grace");
    };
    setMode("a", "note");
    setMode("b", "note");
    setMode("b", "reply");
    reload();
    expect(modes()).toEqual({ a: "note" });
    for (let n = 0; n < 200; n++) setMode(`c${n}`, "note");
    setMode("c0", "note");
    reload();
    expect(Object.keys(modes())).toHaveLength(200);
    expect([modes()["a"], modes()["c0"], modes()["c199"]]).toEqual([undefined, "note", "note"]);
    setMode("d", "note");
    reload();
    expect([modes()["c0"], modes()["c1"]]).toEqual(["note", undefined]);
  });

  it("goes with an explicit sign-out", () => {
    setDraft("a", "reply", "hello", 3);
    setMode("a", "note");
    saveDrafts();
    forgetDrafts();
    loadDrafts("grace");
    expect(draftOf("a", "reply")).toBeUndefined();
    expect(useDrafts.getState().modes).toEqual({});
  });

  it("drops what is old, and starts empty when storage holds nonsense", () => {
    const now = 100 * DAY_MS;
    expect(Object.keys(fresh({ a: { text: "x", seen: 0, at: now - 15 * DAY_MS }, b: { text: "y", seen: 0, at: now } }, now))).toEqual(["b"]);
    for (const nonsense of ["{nonsense", "null", "7"]) {
      localStorage.setItem("deskbell.drafts.linus", nonsense);
      loadDrafts("nobody");
      loadDrafts("linus");
      expect(useDrafts.getState()).toEqual({ owner: "linus", drafts: {}, modes: {} });
    }
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

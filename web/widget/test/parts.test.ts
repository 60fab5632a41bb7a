import { describe, expect, test } from "vitest";
import { Draft } from "../src/chat/draft.ts";
import { openKeep } from "../src/chat/keep.ts";
import { pageOf } from "../src/chat/page.ts";
import { hueOf, initials } from "../src/later/avatar.tsx";
import { badgeTitle } from "../src/later/badge.ts";
import { remembers } from "../src/loader/remembers.ts";
import { isSendKey, roomLeft, toMessage } from "../src/text/compose.ts";

describe("what may be sent", () => {
  test("is normalised, trimmed, and free of control characters", () => {
    expect(toMessage("  e\u0301\r\nb\rc\u0007\u0085\td \n")).toBe("\u00e9\nb\nc\td");
    expect(toMessage(" \n\t ")).toBe("");
  });

  test("is counted in characters, not in units", () => {
    expect(roomLeft("a".repeat(8000))).toBe(0);
    expect(roomLeft("😀".repeat(8000))).toBe(0);
    expect(roomLeft("😀".repeat(8001))).toBe(-1);
    expect(roomLeft("")).toBe(8000);
  });

  test("Enter sends, but not with Shift and not while an input method composes", () => {
    const enter = { key: "Enter", shiftKey: false, isComposing: false, keyCode: 13 };
    expect(isSendKey(enter)).toBe(true);
    expect(isSendKey({ ...enter, shiftKey: true })).toBe(false);
    expect(isSendKey({ ...enter, isComposing: true })).toBe(false);
    expect(isSendKey({ ...enter, keyCode: 229 })).toBe(false);
    expect(isSendKey({ ...enter, key: "a" })).toBe(false);
  });
});

describe("storage", () => {
  test.each([
    ["none", 0, 0],
    ["tab", 1, 0],
    ["device", 0, 1],
  ] as const)("%s keeps things where the site says", (storage, inTab, onDevice) => {
    sessionStorage.clear();
    localStorage.clear();
    const keep = openKeep({ storage, server: "s", project: "p" });
    expect(remembers({ storage, server: "s", project: "p" } as never)).toBe(false);
    keep.set("draft:new", "hello");
    expect(keep.get("draft:new")).toBe("hello");
    expect([sessionStorage.length, localStorage.length]).toEqual([inTab, onDevice]);
    expect(remembers({ storage, server: "s", project: "p" } as never)).toBe(inTab + onDevice > 0);
    expect(remembers({ storage, server: "s", project: "other" } as never)).toBe(false);
    keep.set("draft:new", undefined);
    expect(sessionStorage.length + localStorage.length).toBe(0);
  });
});

test("each conversation has its own draft, which moves along when it gets its real id", () => {
  const keep = openKeep({ storage: "none", server: "s", project: "p" });
  const draft = new Draft(keep);
  draft.follow(undefined, undefined);
  draft.set("first");
  draft.follow("local", "local");
  expect(draft.text).toBe("");
  draft.set("second");
  draft.follow("local", "real");
  expect(draft.text).toBe("second");
  expect([keep.get("draft:local"), keep.get("draft:real")]).toEqual([undefined, "second"]);
  draft.follow(undefined, undefined);
  expect(draft.text).toBe("first");
});

test("a page's fragment stays here unless it is a route", () => {
  const page = (href: string) => pageOf({ location: { href }, title: "T" }).url;
  expect(page("https://shop.example/a?b=c#access_token=x")).toBe("https://shop.example/a?b=c");
  expect(page("https://shop.example/#/cart")).toBe("https://shop.example/#/cart");
});

test("the title's badge comes, changes and goes", () => {
  expect(badgeTitle("Shop", 2)).toBe("(2) Shop");
  expect(badgeTitle("(2) Shop", 120)).toBe("(99+) Shop");
  expect(badgeTitle("(99+) Shop", 0)).toBe("Shop");
  expect(badgeTitle("(a) Shop", 0)).toBe("(a) Shop");
});

test("initials and colour of a name", () => {
  expect(initials("Grace Brewster Hopper")).toBe("GH");
  expect(initials("  ada ")).toBe("A");
  expect(initials("")).toBe("");
  expect(initials("😀 x")).toBe("😀X");
  expect(hueOf("Grace")).toBe(hueOf("Grace"));
});

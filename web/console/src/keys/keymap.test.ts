import { describe, expect, it } from "vitest";
import { caps, CHORD_MS, interpret, type Press, SHORTCUTS, shortcutOf } from "./keymap.ts";

const press = (key: string, more: Partial<Press> = {}): Press => ({ key, mod: false, alt: false, typing: false, ...more });

describe("keymap", () => {
  it("has no two shortcuts on the same keys", () => {
    const keys = SHORTCUTS.map(({ keys, mod }) => `${mod === true ? "mod " : ""}${keys.join(" ")}`);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("reads single keys whatever their case", () => {
    expect(interpret(press("j"), null, 0, true)).toEqual({ command: "next" });
    expect(interpret(press("J"), null, 0, true)).toEqual({ command: "next" });
    expect(interpret(press("?"), null, 0, true)).toEqual({ command: "help" });
  });

  it("reads chords within their time and the plain key after it", () => {
    const first = interpret(press("g"), null, 1_000, true);
    expect(first).toEqual({ pending: { key: "g", at: 1_000 } });
    const pending = { key: "g", at: 1_000 };
    expect(interpret(press("a"), pending, 1_000 + CHORD_MS, true)).toEqual({ command: "goAll" });
    expect(interpret(press("a"), pending, 1_001 + CHORD_MS, true)).toEqual({ command: "assign" });
  });

  it("leaves typed text alone but for shortcuts with a modifier", () => {
    expect(interpret(press("r", { typing: true }), null, 0, true)).toBeNull();
    expect(interpret(press("k", { typing: true, mod: true }), null, 0, true)).toEqual({ command: "palette" });
    expect(interpret(press("c", { mod: true }), null, 0, true)).toBeNull();
  });

  it("can switch off single characters without losing Escape and Mod+K", () => {
    expect(interpret(press("e"), null, 0, false)).toBeNull();
    expect(interpret(press("g"), null, 0, false)).toBeNull();
    expect(interpret(press("Escape"), null, 0, false)).toEqual({ command: "back" });
    expect(interpret(press("k", { mod: true }), null, 0, false)).toEqual({ command: "palette" });
  });

  it("goes by the place of a key on keyboards without Latin letters", () => {
    expect(interpret(press("ت", { code: "KeyJ" }), null, 0, true)).toEqual({ command: "next" });
  });

  it("prints caps as they stand on the keyboard", () => {
    expect(caps(shortcutOf("palette")!, true)).toEqual(["⌘", "K"]);
    expect(caps(shortcutOf("palette")!, false)).toEqual(["Ctrl", "K"]);
    expect(caps(shortcutOf("goInbox")!, false)).toEqual(["G", "I"]);
  });
});

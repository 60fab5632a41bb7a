import type { Key } from "../i18n/translate.ts";

/** What a key press can ask for; the palette and menus offer the same by name. */
export type Command =
  | "next" | "previous" | "open" | "reply" | "note" | "closeAndNext" | "assign" | "take" | "search" | "help"
  | "goInbox" | "goUnassigned" | "goAll" | "palette" | "details" | "back";

/** One shortcut: one key, or two pressed one after the other. */
export interface Shortcut {
  readonly command: Command;
  readonly keys: readonly [string] | readonly [string, string];
  readonly label: Key;
  readonly group: "move" | "act" | "go";
  /** Needs Ctrl or Command; such a shortcut also works while typing. */
  readonly mod?: true;
}

/** Every shortcut there is; help, tooltips and menus read it from here. */
export const SHORTCUTS: readonly Shortcut[] = [
  { command: "next", keys: ["j"], label: "key.next", group: "move" },
  { command: "previous", keys: ["k"], label: "key.previous", group: "move" },
  { command: "open", keys: ["Enter"], label: "key.open", group: "move" },
  { command: "back", keys: ["Escape"], label: "key.back", group: "move" },
  { command: "search", keys: ["/"], label: "key.search", group: "move" },
  { command: "reply", keys: ["r"], label: "key.reply", group: "act" },
  { command: "note", keys: ["n"], label: "key.note", group: "act" },
  { command: "take", keys: ["t"], label: "key.take", group: "act" },
  { command: "assign", keys: ["a"], label: "key.assign", group: "act" },
  { command: "closeAndNext", keys: ["e"], label: "key.close", group: "act" },
  { command: "details", keys: ["d"], label: "key.details", group: "act" },
  { command: "goInbox", keys: ["g", "i"], label: "key.goInbox", group: "go" },
  { command: "goUnassigned", keys: ["g", "u"], label: "key.goUnassigned", group: "go" },
  { command: "goAll", keys: ["g", "a"], label: "key.goAll", group: "go" },
  { command: "palette", keys: ["k"], mod: true, label: "key.palette", group: "go" },
  { command: "help", keys: ["?"], label: "key.help", group: "go" },
];

/** The second key of a two-key shortcut must follow within this. */
export const CHORD_MS = 1_200;

/** A key press, as far as shortcuts care. */
export interface Press {
  readonly key: string;
  readonly code?: string;
  readonly mod: boolean;
  readonly alt: boolean;
  /** The focus is in a text field, menu or dialog, where single keys mean themselves. */
  readonly typing: boolean;
}

/** State of the reader between two presses: the first key of a chord, and when it was pressed. */
export interface Pending {
  readonly key: string;
  readonly at: number;
}

/** What a press means: a command, the beginning of a chord, or nothing. */
export type Meaning = { readonly command: Command } | { readonly pending: Pending } | null;

/** Decides what a press means. `singles` is the setting that switches single keys off (WCAG 2.1.4). */
export function interpret(press: Press, pending: Pending | null, now: number, singles: boolean): Meaning {
  const key = letterOf(press);
  if (press.alt) return null;
  if (press.mod) return named(SHORTCUTS.find((shortcut) => shortcut.mod === true && shortcut.keys[0] === key));
  if (press.typing || (!singles && isCharacter(key))) return null;
  if (pending !== null && now - pending.at <= CHORD_MS) {
    const chord = SHORTCUTS.find(({ keys }) => keys.length === 2 && keys[0] === pending.key && keys[1] === key);
    if (chord !== undefined) return { command: chord.command };
  }
  if (SHORTCUTS.some(({ keys }) => keys.length === 2 && keys[0] === key)) return { pending: { key, at: now } };
  return named(SHORTCUTS.find((shortcut) => shortcut.mod !== true && shortcut.keys.length === 1 && shortcut.keys[0] === key));
}

/** The shortcut of a command. */
export function shortcutOf(command: Command): Shortcut | undefined {
  return SHORTCUTS.find((shortcut) => shortcut.command === command);
}

/** The keys of a shortcut as they are printed on caps, e.g. `["G", "I"]` or `["⌘", "K"]`. */
export function caps(shortcut: Shortcut, apple: boolean): string[] {
  const shown = shortcut.keys.map((key) => (key.length === 1 ? key.toUpperCase() : key === "Escape" ? "Esc" : key));
  return shortcut.mod === true ? [apple ? "⌘" : "Ctrl", ...shown] : shown;
}

function named(shortcut: Shortcut | undefined): Meaning {
  return shortcut === undefined ? null : { command: shortcut.command };
}

/** On keyboards without Latin letters (Arabic, Greek ...) the place of the key counts instead of its character. */
function letterOf({ key, code }: Press): string {
  if (key.length > 1) return key;
  if (key.charCodeAt(0) > 127 && code?.startsWith("Key") === true) return code.slice(3).toLowerCase();
  return key === "؟" ? "?" : key.toLowerCase();
}

function isCharacter(key: string): boolean {
  return key.length === 1;
}

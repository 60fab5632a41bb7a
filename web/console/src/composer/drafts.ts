import { create } from "zustand";

/** What the composer writes: a reply that the visitor sees, or a note among agents. */
export type Mode = "reply" | "note";

/** A text that was begun and not sent. */
export interface Draft {
  readonly text: string;
  /** Thread `seq` that the writer had seen when the text was begun or last changed in sight of newer ones. */
  readonly seen: number;
  readonly at: number;
}

/** What is kept over a reload. */
interface Kept {
  readonly drafts: Readonly<Record<string, Draft>>;
  /** The conversations that were left in note mode; all others are replied to. */
  readonly notes: readonly string[];
}

interface DraftStore {
  readonly owner: string;
  readonly drafts: Readonly<Record<string, Draft>>;
  /** The mode in which each conversation was left. */
  readonly modes: Readonly<Record<string, Mode>>;
}

/** Drafts untouched for this long are dropped when the page loads. */
const KEEP_MS = 14 * 24 * 3_600_000;
/** At most this many are kept; the oldest go first. */
const KEEP_COUNT = 200;
/** A page that closes also writes at once, so this only spares the disk. */
const SAVE_MS = 300;

/** All drafts of the agent who is signed in. */
export const useDrafts = create<DraftStore>()(() => ({ owner: "", drafts: {}, modes: {} }));

let saving: ReturnType<typeof setTimeout> | undefined;

/** Loads the drafts of one agent. They are kept by agent, so that people who share a device do not see each other's. */
export function loadDrafts(agent: string, now = Date.now()): void {
  if (useDrafts.getState().owner === agent) return;
  const { drafts, notes } = parse(localStorage.getItem(place(agent)));
  useDrafts.setState({ owner: agent, drafts: fresh(drafts, now), modes: Object.fromEntries(notes.map((id) => [id, "note"])) });
}

/** Removes what is kept of this agent; for an explicit sign-out. */
export function forgetDrafts(): void {
  clearTimeout(saving);
  localStorage.removeItem(place(useDrafts.getState().owner));
  useDrafts.setState({ owner: "", drafts: {}, modes: {} });
}

/** The draft of a conversation in a mode. */
export function draftOf(conversation: string, mode: Mode): Draft | undefined {
  return useDrafts.getState().drafts[name(conversation, mode)];
}

/** The same, for components. */
export function useDraft(conversation: string, mode: Mode): Draft | undefined {
  return useDrafts((store) => store.drafts[name(conversation, mode)]);
}

/** Keeps a text; an empty one is forgotten. */
export function setDraft(conversation: string, mode: Mode, text: string, seen: number, now = Date.now()): void {
  const drafts = { ...useDrafts.getState().drafts };
  if (text === "") delete drafts[name(conversation, mode)];
  else drafts[name(conversation, mode)] = { text, seen, at: now };
  useDrafts.setState({ drafts });
  saveSoon();
}

/** Writes drafts and modes down now. */
export function saveDrafts(): void {
  clearTimeout(saving);
  const { owner, drafts, modes } = useDrafts.getState();
  if (owner === "") return;
  const notes = Object.keys(modes).filter((id) => modes[id] === "note");
  const kept: Kept = { drafts, notes: notes.slice(-KEEP_COUNT) };
  try {
    localStorage.setItem(place(owner), JSON.stringify(kept));
  } catch {
    // Storage is full or forbidden: the drafts still live as long as the page does.
  }
}

/** Chooses reply or note for a conversation; it stays so over a reload. */
export function setMode(conversation: string, mode: Mode): void {
  // Taken out first, so that the one chosen last stands last.
  const { [conversation]: _, ...modes } = useDrafts.getState().modes;
  useDrafts.setState({ modes: { ...modes, [conversation]: mode } });
  saveSoon();
}

function saveSoon(): void {
  clearTimeout(saving);
  saving = setTimeout(saveDrafts, SAVE_MS);
}

/** Drops drafts that are old or too many. */
export function fresh(drafts: Readonly<Record<string, Draft>>, now: number): Record<string, Draft> {
  const kept = Object.entries(drafts).filter(([, draft]) => now - draft.at < KEEP_MS);
  kept.sort(([, a], [, b]) => b.at - a.at);
  return Object.fromEntries(kept.slice(0, KEEP_COUNT));
}

/** Something unreadable counts as nothing. */
function parse(text: string | null): Kept {
  try {
    const { drafts = {}, notes = [] } = JSON.parse(text ?? "{}") as Partial<Kept>;
    return { drafts, notes };
  } catch {
    return { drafts: {}, notes: [] };
  }
}

function name(conversation: string, mode: Mode): string {
  return `${conversation} ${mode}`;
}

function place(agent: string): string {
  return `deskbell.drafts.${agent}`;
}

import { create } from "zustand";

interface AnnounceStore {
  readonly text: string;
}

/** What the polite live region says now. */
export const useAnnouncement = create<AnnounceStore>()(() => ({ text: "" }));

/** Announcements closer together than this are read as one. */
const JOIN_MS = 700;
let waiting: string[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

/** Says something to those who listen to the page. */
export function announce(text: string): void {
  waiting.push(text);
  timer ??= setTimeout(() => {
    useAnnouncement.setState({ text: waiting.join(" ") });
    waiting = [];
    timer = undefined;
  }, JOIN_MS);
}

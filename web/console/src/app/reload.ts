import { agent } from "./agent.ts";

/** When this tab was last loaded anew by itself, in session storage. */
const PLACE = "deskbell.reloaded";
/** A file that is still missing this soon after a reload is not there: reloading again would never end. */
const AGAIN_MS = 60_000;
/** How Chromium, Firefox, Safari and Vite (for style sheets) say that a module could not be fetched. */
const MISSING = /dynamically imported module|importing a module script failed|unable to preload/i;

/** Whether a part of the console could not be fetched: the server is away, or has become a newer one that names its files anew. */
export function isMissingFile(error: unknown): boolean {
  return error instanceof Error && MISSING.test(error.message);
}

/** Whether loading the page anew is likely to help: the server is there, and it was not just tried. */
export function mayReload(now = Date.now()): boolean {
  try {
    const last = Number(sessionStorage.getItem(PLACE) ?? -AGAIN_MS);
    return agent.status.getSnapshot().state === "online" && now - last >= AGAIN_MS;
  } catch {
    return false;
  }
}

/** Loads the page anew, and remembers that it did. Drafts and what waits to be sent are kept. */
export function reload(now = Date.now()): void {
  try {
    sessionStorage.setItem(PLACE, String(now));
  } catch {
    // Storage is forbidden: then it is the person who asked, not the page.
  }
  location.reload();
}

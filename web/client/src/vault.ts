/** What may outlive the page, where the site allows it: the resume token and what was not sent yet. */
import type { Browser } from "./browser.ts";
import type { OutboxItem } from "./model.ts";

export type StorageMode = "none" | "tab" | "device";

interface Stored {
  readonly resume?: string | undefined;
  /** Whose outbox it is; another person's is not sent. */
  readonly owner?: string;
  readonly outbox?: readonly OutboxItem[];
}

/** Browsers give a site some 5 MB; an outbox beyond this is refused before it is stored. */
export const OUTBOX_ITEMS = 200;

export class Vault {
  readonly #area: Storage | undefined;
  readonly #name: string;
  #last = "";

  constructor(browser: Browser, mode: StorageMode, name: string) {
    this.#area = mode === "none" ? undefined : browser.storage(mode);
    this.#name = name;
  }

  /** Something unreadable counts as nothing: a newer or older version may have written it. */
  read(): Stored {
    try {
      const stored = JSON.parse(this.#area?.getItem(this.#name) ?? "{}") as Stored;
      return typeof stored === "object" && stored !== null ? stored : {};
    } catch {
      return {};
    }
  }

  get used(): boolean {
    return Object.keys(this.read()).length > 0;
  }

  write(stored: Stored): void {
    const text = JSON.stringify(stored);
    if (text === this.#last) return;
    this.#last = text;
    try {
      this.#area?.setItem(this.#name, text);
    } catch {
      // Full or forbidden: then it lives as long as the page does.
    }
  }

  wipe(): void {
    this.#last = "";
    try {
      this.#area?.removeItem(this.#name);
    } catch {
      // Forbidden: then nothing was stored either.
    }
  }
}

// What the widget itself keeps: drafts, whether the panel is open, sound. Where, and for how long, the site decides.
import type { Settings } from "../settings.ts";

/** A small shelf of texts; it works in memory where the browser refuses storage. */
export interface Keep {
  get(name: string): string | undefined;
  set(name: string, value: string | undefined): void;
}

/** Opens the shelf of a project. */
export function openKeep({ storage, server, project }: Pick<Settings, "storage" | "server" | "project">): Keep {
  const memory = new Map<string, string>();
  const store = storageOf(storage);
  // Under the client's own name, so that the loader finds both by one look.
  const keyOf = (name: string) => `deskbell:${server}:${project}:${name}`;
  return {
    get: (name) => memory.get(name) ?? store?.getItem(keyOf(name)) ?? undefined,
    set(name, value) {
      if (value) memory.set(name, value);
      else memory.delete(name);
      try {
        if (value) store?.setItem(keyOf(name), value);
        else store?.removeItem(keyOf(name));
      } catch {
        // Full or refused: memory has it.
      }
    },
  };
}

function storageOf(mode: Settings["storage"]): Storage | undefined {
  try {
    if (mode === "none") return undefined;
    return mode === "tab" ? sessionStorage : localStorage;
  } catch {
    return undefined;
  }
}

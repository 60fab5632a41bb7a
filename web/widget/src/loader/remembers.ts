import type { Settings } from "../settings.ts";

/** Has this visitor chatted before, as far as the site lets the browser remember? */
export function remembers({ storage, server, project }: Settings): boolean {
  try {
    if (storage === "none") return false;
    const store = storage === "tab" ? sessionStorage : localStorage;
    return Object.keys(store).some((key) => key.startsWith(`deskbell:${server}:${project}`));
  } catch {
    // Storage is refused: cookies blocked, or a sandboxed frame.
    return false;
  }
}

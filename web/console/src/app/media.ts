import { useSyncExternalStore } from "react";

/** Widths at which the panes fold, in `em` so that larger text folds them sooner. Mirrored in Shell.module.css. */
export const PHONE = "(max-width: 40em)";
/** Below this the visitor panel lies over the thread instead of beside it. */
export const NARROW = "(max-width: 75em)";

const queries = new Map<string, MediaQueryList>();

/** Whether a media query holds now. */
export function useMedia(query: string): boolean {
  const list = listOf(query);
  return useSyncExternalStore(
    (listener) => {
      list.addEventListener("change", listener);
      return () => list.removeEventListener("change", listener);
    },
    () => list.matches,
  );
}

/** The same, for code outside components. */
export function matches(query: string): boolean {
  return listOf(query).matches;
}

function listOf(query: string): MediaQueryList {
  let list = queries.get(query);
  if (list === undefined) {
    list = window.matchMedia(query);
    queries.set(query, list);
  }
  return list;
}

import type { InboxList, InboxView } from "@deskbell/client/agent";
import { useEffect, useMemo } from "react";
import { agent, useReadable } from "../app/agent.ts";
import { filterOf, type ViewName } from "./view.ts";

/** Lists that stay subscribed, so that switching between them shows rows at once. */
const kept = new Map<ViewName, InboxView>();

/** A list without a search; the same one for everybody who asks, until the session ends. */
export function keptList(view: ViewName): InboxView {
  let list = kept.get(view);
  if (list === undefined) {
    list = agent.view(filterOf(view, undefined));
    kept.set(view, list);
  }
  return list;
}

/** Lets all lists go; for signing out. */
export function dropLists(): void {
  for (const list of kept.values()) list.dispose();
  kept.clear();
}

/** The rows of a view, narrowed by a search for a visitor's name. */
export function useList(view: ViewName, q: string | undefined): { list: InboxView; shown: InboxList } {
  const list = useMemo(() => (q === undefined ? keptList(view) : agent.view(filterOf(view, q))), [view, q]);
  useEffect(() => {
    if (q === undefined) return;
    return () => list.dispose();
  }, [list, q]);
  return { list, shown: useReadable(list.snapshot) };
}

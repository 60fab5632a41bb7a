import { useParams, useRouterState } from "@tanstack/react-router";
import { useEffect, useState, useSyncExternalStore } from "react";
import { agent, useProfile, useReadable } from "../app/agent.ts";
import { useLocale } from "../i18n/locale.ts";
import { keptList } from "../inbox/lists.ts";
import { agentOf, VIEW_LOOKS, viewOf } from "../inbox/view.ts";
import { attention } from "./events.ts";

/** Puts what calls for the agent and where one is into the tab's title. */
export function useTitle(): void {
  const { t } = useLocale();
  const { project } = useProfile();
  const number = useAttention();
  const { view } = useParams({ strict: false });
  const path = useRouterState({ select: (state) => state.location.pathname });
  useEffect(() => {
    const name = viewOf(view ?? "mine");
    const label = agentOf(name) === null ? t(VIEW_LOOKS[name as keyof typeof VIEW_LOOKS].label) : t("colleagues");
    const place = path.startsWith("/c/setup") ? t("setup") : label;
    document.title = `${number > 0 ? `(${number}) ` : ""}${place} · ${project.name} · Deskbell`;
  }, [t, number, view, path, project.name]);
}

function useAttention(): number {
  const unassigned = useReadable(agent.counts).unassigned;
  const [mine] = useState(watchMine);
  const unread = useSyncExternalStore(mine.subscribe, mine.getSnapshot);
  return unread + unassigned;
}

/** Counts one's own conversations with something unread, for as long as somebody asks. */
function watchMine() {
  let count = 0;
  return {
    getSnapshot: () => count,
    subscribe: (listener: () => void) => {
      const view = keptList("mine");
      const stops = new Map<string, () => void>();
      const recount = (): void => {
        const { ids } = view.snapshot.getSnapshot();
        const next = attention(ids.map((id) => agent.head(id).getSnapshot()), 0);
        if (next === count) return;
        count = next;
        listener();
      };
      const sync = (): void => {
        for (const id of view.snapshot.getSnapshot().ids) if (!stops.has(id)) stops.set(id, agent.head(id).subscribe(recount));
        recount();
      };
      const stop = view.snapshot.subscribe(sync);
      sync();
      return () => {
        stop();
        for (const stopHead of stops.values()) stopHead();
      };
    },
  };
}

import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef } from "react";
import { useOverlays } from "../actions/overlay.ts";
import { agent, me, useAgentName, useReadable } from "../app/agent.ts";
import { matches, PHONE, useMedia } from "../app/media.ts";
import { useLocale } from "../i18n/locale.ts";
import { useShortcuts } from "../keys/useShortcuts.ts";
import { Button } from "../ui/Button.tsx";
import { EmptyList } from "./EmptyList.tsx";
import css from "./ListPane.module.css";
import { useList } from "./lists.ts";
import { visible } from "./listed.ts";
import { ListTools } from "./ListTools.tsx";
import { byWaiting, neighbour } from "./order.ts";
import { usePrefetch } from "./prefetch.ts";
import { Rows, type RowsHandle } from "./Rows.tsx";
import { lastOpen, shownIds } from "./shown.ts";
import { useSteady } from "./useSteady.ts";
import { agentOf, queryOf, VIEW_LOOKS, type ViewName } from "./view.ts";

const route = getRouteApi("/c/inbox/$view");

/** The list of a view: search, order, and the rows. */
export function ListPane({ view, open }: { view: ViewName; open: string | undefined }) {
  const { t } = useLocale();
  const { q, sort } = route.useSearch();
  const { list, shown } = useList(view, q);
  const overlays = useOverlays((store) => store.overlays);
  const live = useMemo(() => {
    const ids = visible(shown.ids, overlays, view, me());
    return sort === "waiting" ? byWaiting(ids, (id) => agent.head(id).getSnapshot()) : ids;
  }, [shown.ids, overlays, view, sort]);
  const { ids, hold, pending, release } = useSteady(live, `${q ?? ""} ${sort ?? ""}`);
  const rows = useRef<RowsHandle>(null);
  // Before the page is drawn: a key may be pressed as soon as it is.
  useLayoutEffect(() => shownIds.set(ids), [ids]);
  const more = useCallback(() => list.loadMore(), [list]);
  useListKeys(rows, ids, open);
  useReturn(rows);
  usePrefetch(ids);
  const Pane = useMedia(PHONE) ? "main" : "section";
  return (
    <Pane id={Pane === "main" ? "main" : undefined} className={css.pane} aria-labelledby="list-title" tabIndex={-1}>
      <header className={css.head}>
        <Title view={view} />
        {pending > 0 && (
          <Button small look="quiet" icon="retry" className={css.pending ?? ""} onPress={release}>
            {t("list.pending", { n: pending })}
          </Button>
        )}
        <ListTools view={view} q={q} sort={sort} />
      </header>
      {ids.length === 0 ? (
        <EmptyList view={view} q={q} list={list} shown={shown} />
      ) : (
        <Rows ref={rows} ids={ids} view={view} query={queryOf({ q, sort })} open={open} more={shown.more} onMore={more} onHold={hold} />
      )}
    </Pane>
  );
}

function Title({ view }: { view: ViewName }) {
  const { t, tag } = useLocale();
  const name = useAgentName(agentOf(view));
  const counts = useReadable(agent.counts);
  const count = view === "mine" ? counts.mine : view === "unassigned" ? counts.unassigned : view === "all" ? counts.open : undefined;
  const label = view in VIEW_LOOKS ? t(VIEW_LOOKS[view as keyof typeof VIEW_LOOKS].label) : (name ?? t("agent.unknown"));
  return (
    <h1 id="list-title" className={css.title} tabIndex={-1}>
      <span className={css.name}>{label}</span>
      {count !== undefined && <span className={css.count}>{new Intl.NumberFormat(tag).format(count)}</span>}
    </h1>
  );
}

/** On a phone, coming back from a conversation puts the focus on its row. */
function useReturn(rows: React.RefObject<RowsHandle | null>): void {
  useEffect(() => {
    const last = lastOpen.get();
    if (last !== null && matches(PHONE)) rows.current?.focus(last);
  }, [rows]);
}

function useListKeys(rows: React.RefObject<RowsHandle | null>, ids: readonly string[], open: string | undefined): void {
  const navigate = useNavigate();
  const move = (step: 1 | -1) => () => {
    const from = rows.current?.cursor() ?? open;
    const to = from === undefined ? (ids[0] ?? null) : neighbour(ids, from, step);
    if (to !== null) rows.current?.focus(to);
  };
  useShortcuts({
    next: move(1),
    previous: move(-1),
    search: () => document.querySelector<HTMLInputElement>("[data-search] input")?.focus(),
    open: () => {
      const id = rows.current?.cursor() ?? ids[0];
      if (id !== undefined) void navigate({ to: "/c/inbox/$view/$conversation", params: (old) => ({ view: old.view ?? "mine", conversation: id }), search: true });
    },
  });
}

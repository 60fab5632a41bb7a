import type { Head } from "@deskbell/client";
import { useRouter } from "@tanstack/react-router";
import { memo } from "react";
import { laid, useOverlays } from "../actions/overlay.ts";
import { useAgentName, useHead } from "../app/agent.ts";
import { useNow } from "../app/clock.ts";
import { useDraft } from "../composer/drafts.ts";
import { useLocale } from "../i18n/locale.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Icon } from "../ui/Icon.tsx";
import { useVisitorName } from "../ui/useVisitorName.ts";
import { prefetchNow } from "./prefetch.ts";
import css from "./Row.module.css";
import type { ViewName } from "./view.ts";
import { WAIT_ICONS, waited, waitLevel } from "./wait.ts";

interface RowProps {
  readonly id: string;
  readonly view: ViewName;
  /** The search part of the address, which a row keeps. */
  readonly query: string;
  readonly open: boolean;
  /** The row that Tab reaches; the others are reached from it by arrow keys. */
  readonly stop: boolean;
  readonly onFocus: () => void;
}

/** One conversation in the list. It watches its own head, so a message renders one row. */
export const Row = memo(function Row({ id, view, query, open, stop, onFocus }: RowProps) {
  const router = useRouter();
  const overlay = useOverlays((store) => store.overlays[id]);
  const stored = useHead(id);
  const name = useVisitorName(stored?.visitor);
  const drafted = useDraft(id, "reply") !== undefined;
  if (stored === undefined) return <div className={css.row} />;
  const head = laid(stored, overlay);
  const href = `/c/inbox/${view}/${id}${query}`;
  // The router's own link would render every row again at each change of the address.
  const onClick = (event: React.MouseEvent): void => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    router.history.push(href);
  };
  return (
    <a
      href={href}
      onClick={onClick}
      className={head.unread > 0 ? `${css.row} ${css.unread}` : css.row}
      aria-current={open ? "true" : undefined}
      tabIndex={stop ? 0 : -1}
      data-row={id}
      draggable={false}
      onFocus={onFocus}
      onPointerEnter={() => prefetchNow(id)}
    >
      <Avatar id={head.visitor.id} name={head.visitor.name} size="l" />
      <span className={css.top}>
        <span className={css.name} dir="auto">
          {name}
        </span>
        <Waiting head={head} />
      </span>
      <span className={css.bottom}>
        {drafted && !open && <Drafted />}
        <span className={css.preview} dir="auto">
          {head.preview}
        </span>
        <Marks head={head} view={view} />
      </span>
    </a>
  );
}, sameRow);

function sameRow(a: RowProps, b: RowProps): boolean {
  return a.id === b.id && a.view === b.view && a.query === b.query && a.open === b.open && a.stop === b.stop;
}

/** How long the visitor waits, or when something last happened. */
function Waiting({ head }: { head: Head }) {
  const { t, dates } = useLocale();
  const now = useNow();
  if (head.waiting_since === null) {
    return (
      <time className={css.time} dateTime={new Date(head.at).toISOString()} title={dates.full(head.at)}>
        {dates.ago(head.at, now)}
      </time>
    );
  }
  const ms = waited(head.waiting_since, now);
  const level = waitLevel(ms);
  return (
    <span className={css.wait} data-level={level} title={t("wait.title", { time: dates.spoken(ms) })}>
      <Icon name={WAIT_ICONS[level]} size={12} />
      <span aria-hidden="true">{ms === 0 ? t("time.now") : dates.span(ms)}</span>
      <span className="visually-hidden">{t("wait", { time: dates.spoken(ms) })}</span>
    </span>
  );
}

function Marks({ head, view }: { head: Head; view: ViewName }) {
  const { t, tag } = useLocale();
  const holder = useAgentName(head.assignee);
  return (
    <span className={css.marks}>
      {head.assignee !== null && view !== "mine" && (
        <span title={t("row.assignee", { agent: holder ?? t("agent.unknown") })}>
          <Avatar id={head.assignee} name={holder} size="s" square />
          <span className="visually-hidden">{t("row.assignee", { agent: holder ?? t("agent.unknown") })}</span>
        </span>
      )}
      {head.unread > 0 && (
        <span className={css.badge}>
          <span aria-hidden="true">{new Intl.NumberFormat(tag).format(head.unread)}</span>
          <span className="visually-hidden">{t("row.unread", { n: head.unread })}</span>
        </span>
      )}
    </span>
  );
}

function Drafted() {
  const { t } = useLocale();
  return <span className={css.draft}>{t("row.draft")}</span>;
}

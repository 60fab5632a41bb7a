import type { Entry, Page } from "@deskbell/client";
import { agent, colleague, useReadable } from "../app/agent.ts";
import { useNow } from "../app/clock.ts";
import { useLocale } from "../i18n/locale.ts";
import { Icon } from "../ui/Icon.tsx";
import css from "./Lines.module.css";
import { lineOf } from "./lines.ts";
import { safeUrl } from "./links.ts";

/** Where a new day begins. */
export function Day({ at }: { at: number }) {
  const { dates } = useLocale();
  const now = useNow();
  return (
    <div className={css.day} role="separator">
      <span>{dates.day(at, now)}</span>
    </div>
  );
}

/** Where the unread messages begin. */
export function NewMark() {
  const { t } = useLocale();
  return (
    <div className={`${css.day} ${css.new}`} role="separator">
      <span>{t("thread.new")}</span>
    </div>
  );
}

/** Something that happened, in plain words. */
export function Line({ entry, name }: { entry: Entry; name: string }) {
  const { t, dates } = useLocale();
  const agents = useReadable(agent.agents);
  const nameOf = (id: string | undefined): string => colleague(agents, id)?.name ?? t("agent.unknown");
  const line = lineOf(entry, { t, visitor: name, nameOf });
  if (line === null) return null;
  return (
    <div className={css.line} data-anchor={entry.entry}>
      <Icon name={line.icon} size={13} />
      <span>
        {line.text}
        {line.quote !== undefined && (
          <q className={css.quote} dir="auto">
            {line.quote}
          </q>
        )}
      </span>
      <time dateTime={new Date(entry.at).toISOString()} title={dates.full(entry.at)}>
        {dates.time(entry.at)}
      </time>
    </div>
  );
}

type Visit = Page & { readonly at: number };

/** Pages that the visitor looked at, one after the other. */
export function Pages({ pages, anchor }: { pages: readonly Visit[]; anchor: string }) {
  const { t } = useLocale();
  const last = pages.at(-1);
  if (last === undefined) return null;
  if (pages.length === 1) return <PageLine page={last} anchor={anchor} />;
  return (
    <details className={css.pages} data-anchor={anchor}>
      <summary className={css.line}>
        <Icon name="page" size={13} />
        <span>{t("pages.many", { n: pages.length, title: titleOf(last) })}</span>
        <Icon name="chevron" size={12} />
      </summary>
      {pages.map((page, index) => (
        <PageLine key={index} page={page} anchor={`${anchor} ${index}`} />
      ))}
    </details>
  );
}

function PageLine({ page, anchor }: { page: Visit; anchor: string }) {
  const { t, dates } = useLocale();
  const href = safeUrl(page.url);
  return (
    <div className={css.line} data-anchor={anchor}>
      <Icon name="page" size={13} />
      <span>
        {t("pages.one")}{" "}
        {href === undefined ? (
          <bdi>{titleOf(page)}</bdi>
        ) : (
          <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={page.url}>
            <bdi>{titleOf(page)}</bdi>
          </a>
        )}
      </span>
      <time dateTime={new Date(page.at).toISOString()} title={dates.full(page.at)}>
        {dates.time(page.at)}
      </time>
    </div>
  );
}

function titleOf(page: Page): string {
  return page.title || page.url;
}

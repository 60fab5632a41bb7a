import type { Entry, Page } from "@deskbell/client";
import { useState } from "react";
import { useLocale } from "../i18n/locale.ts";
import { safeUrl } from "../thread/links.ts";
import { Button } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import css from "./VisitorPanel.module.css";

/** So many pages are shown before one asks for all. */
const FIRST = 5;

type PageEntry = Extract<Entry, { event: "page" }>;

/** The pages that the visitor looked at, the newest first, and the one they are on. */
export function PageList({ pages, now }: { pages: readonly PageEntry[]; now: Page | undefined }) {
  const { t, dates } = useLocale();
  const [all, setAll] = useState(false);
  const newest = [...pages].reverse();
  const shown = all ? newest : newest.slice(0, FIRST);
  if (now === undefined && pages.length === 0) return null;
  return (
    <section className={css.section} aria-labelledby="details-pages">
      <h2 id="details-pages" className={css.heading}>
        {t("details.pages")}
      </h2>
      {now !== undefined && (
        <p className={css.now}>
          <Icon name="globe" size={14} />
          <span>
            <span className={css.small}>{t("details.page.now")}</span>
            <PageLink page={now} />
          </span>
        </p>
      )}
      <ol className={css.pages}>
        {shown.map((entry) => (
          <li key={entry.entry}>
            <PageLink page={entry.body} />
            <time className={css.small} dateTime={new Date(entry.at).toISOString()} title={dates.full(entry.at)}>
              {dates.time(entry.at)}
            </time>
          </li>
        ))}
      </ol>
      {newest.length > shown.length && (
        <Button small look="quiet" onPress={() => setAll(true)}>
          {t("details.pages.all", { n: newest.length })}
        </Button>
      )}
    </section>
  );
}

function PageLink({ page }: { page: Page }) {
  const href = safeUrl(page.url);
  const title = page.title || page.url;
  if (href === undefined) return <bdi className={css.pageLink}>{title}</bdi>;
  return (
    <a className={css.pageLink} href={href} target="_blank" rel="noopener noreferrer nofollow" title={page.url}>
      <bdi>{title}</bdi>
    </a>
  );
}

import type { VisitorCard } from "@deskbell/client";
import { Link } from "@tanstack/react-router";
import { useNow } from "../app/clock.ts";
import { useLocale } from "../i18n/locale.ts";
import { prefetchNow } from "../inbox/prefetch.ts";
import css from "./VisitorPanel.module.css";

/** What else this visitor wrote about. */
export function Earlier({ visitor, current }: { visitor: VisitorCard; current: string }) {
  const { t, dates } = useLocale();
  const now = useNow();
  const others = visitor.conversations.filter(({ conversation }) => conversation !== current);
  return (
    <section className={css.section} aria-labelledby="details-earlier">
      <h2 id="details-earlier" className={css.heading}>
        {t("details.earlier")}
      </h2>
      {others.length === 0 ? (
        <p className={css.nobody}>{t("details.earlier.none")}</p>
      ) : (
        <ul className={css.earlier}>
          {others.map(({ conversation, status, at, preview }) => (
            <li key={conversation}>
              <Link to="/c/inbox/$view/$conversation" params={{ view: status === "closed" ? "closed" : "all", conversation }} onPointerEnter={() => prefetchNow(conversation)}>
                <span className={css.preview} dir="auto">
                  {preview}
                </span>
                <span className={css.small}>
                  {t(`status.${status}`)} · {dates.ago(at, now)}
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

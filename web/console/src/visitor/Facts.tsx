import type { Conversation } from "@deskbell/client";
import { useNow } from "../app/clock.ts";
import { useLocale } from "../i18n/locale.ts";
import css from "./VisitorPanel.module.css";

/** Fields that have a place of their own above. */
const SHOWN = new Set(["name", "email"]);

/** What the visitor or the site said, and what can be told from the conversation. */
export function Facts({ conversation }: { conversation: Conversation }) {
  const { t, dates } = useLocale();
  const now = useNow();
  const { visitor, thread, rating } = conversation;
  const first = thread.older ? undefined : thread.entries[0];
  const last = thread.entries.filter(({ event }) => event === "message").at(-1);
  const fields = Object.entries(visitor?.fields ?? {}).filter(([name, value]) => !SHOWN.has(name) && value !== "");
  return (
    <section className={css.section} aria-labelledby="details-facts">
      <h2 id="details-facts" className={css.heading}>
        {t("details.facts")}
      </h2>
      <dl className={css.facts}>
        {first !== undefined && (
          <Fact name={t("fact.began")}>
            <span title={dates.full(first.at)}>
              {dates.day(first.at, now)}, {dates.time(first.at)}
            </span>
          </Fact>
        )}
        {last !== undefined && last !== first && (
          <Fact name={t("fact.last")}>
            <span title={dates.full(last.at)}>
              {dates.day(last.at, now)}, {dates.time(last.at)}
            </span>
          </Fact>
        )}
        {rating !== undefined && <Fact name={t("fact.rating")}>{t("fact.rating.n", { n: rating.score })}</Fact>}
        {fields.map(([name, value]) => (
          <Fact key={name} name={name}>
            <bdi>{value}</bdi>
          </Fact>
        ))}
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div className={css.fact}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

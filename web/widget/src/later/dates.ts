// Dates and times as the visitor's language writes them.
import type { Language } from "../i18n/index.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** The local calendar day of a time, as one comparable text. */
export function dayOf(at: number): string {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth()}-${date.getDate()}`;
}

/** The name over a day's messages: Today, Yesterday, or the date (with the year when it is another one). */
export function dayName(at: number, now: number, { t, tag }: Language): string {
  if (dayOf(at) === dayOf(now)) return t("day.today");
  if (dayOf(at) === dayOf(startOfDay(now) - DAY_MS / 2)) return t("day.yesterday");
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return new Intl.DateTimeFormat(tag, {
    weekday: "long",
    day: "numeric",
    month: "long",
    ...(sameYear ? {} : { year: "numeric" }),
  }).format(at);
}

/** Hours and minutes. */
export function timeOf(at: number, { tag }: Language): string {
  return new Intl.DateTimeFormat(tag, { hour: "numeric", minute: "2-digit" }).format(at);
}

/** Short: the time for today's, else day and month. For lists. */
export function shortDate(at: number, now: number, lang: Language): string {
  if (dayOf(at) === dayOf(now)) return timeOf(at, lang);
  return new Intl.DateTimeFormat(lang.tag, { day: "numeric", month: "short" }).format(at);
}

// Half a day before midnight is always within yesterday, also on the two days a year that are not 24 hours long.
function startOfDay(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

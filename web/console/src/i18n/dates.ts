import type { Translate } from "./translate.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Dates and spans of time as people of one language write them. */
export interface Dates {
  /** Time of day, e.g. 14:05. */
  time(at: number): string;
  /** Name of a day: today, yesterday, a weekday or a date. */
  day(at: number, now: number): string;
  /** The whole moment, for tooltips. */
  full(at: number): string;
  /** How long ago, as short as it goes: now, 4m, 3h, 2d, or a date. */
  ago(at: number, now: number): string;
  /** A span as short as it goes: 40s, 12m, 3h. */
  span(ms: number): string;
  /** A span in words for those who hear it: 12 minutes. */
  spoken(ms: number): string;
}

/** Midnight that began the day of `at`, in the reader's time zone. */
export function dayStart(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** Makes the date texts of one language. */
export function dates(tag: string, t: Translate): Dates {
  const time = new Intl.DateTimeFormat(tag, { hour: "numeric", minute: "2-digit" });
  const weekday = new Intl.DateTimeFormat(tag, { weekday: "long" });
  const date = new Intl.DateTimeFormat(tag, { day: "numeric", month: "long" });
  const shortDate = new Intl.DateTimeFormat(tag, { day: "numeric", month: "short" });
  const dated = new Intl.DateTimeFormat(tag, { day: "numeric", month: "long", year: "numeric" });
  const full = new Intl.DateTimeFormat(tag, { dateStyle: "full", timeStyle: "medium" });
  const unit = (name: string, unitDisplay: "narrow" | "long") =>
    new Intl.NumberFormat(tag, { style: "unit", unit: name, unitDisplay });
  const narrow = units((name) => unit(name, "narrow"));
  const long = units((name) => unit(name, "long"));

  const day = (at: number, now: number): string => {
    const daysBack = Math.round((dayStart(now) - dayStart(at)) / DAY_MS);
    if (daysBack === 0) return t("day.today");
    if (daysBack === 1) return t("day.yesterday");
    if (daysBack > 1 && daysBack < 7) return weekday.format(at);
    return (new Date(at).getFullYear() === new Date(now).getFullYear() ? date : dated).format(at);
  };
  const ago = (at: number, now: number): string => {
    const ms = now - at;
    if (ms < MINUTE_MS) return t("time.now");
    return ms < 7 * DAY_MS ? narrow(ms) : shortDate.format(at);
  };
  return { time: (at) => time.format(at), day, full: (at) => full.format(at), ago, span: narrow, spoken: long };
}

/** Writes a span in its largest whole unit. */
function units(make: (name: string) => Intl.NumberFormat): (ms: number) => string {
  const [second, minute, hour, day] = ["second", "minute", "hour", "day"].map(make) as Four;
  return (ms) => {
    if (ms < MINUTE_MS) return second.format(Math.max(0, Math.floor(ms / 1000)));
    if (ms < HOUR_MS) return minute.format(Math.floor(ms / MINUTE_MS));
    return ms < DAY_MS ? hour.format(Math.floor(ms / HOUR_MS)) : day.format(Math.floor(ms / DAY_MS));
  };
}

type Four = [Intl.NumberFormat, Intl.NumberFormat, Intl.NumberFormat, Intl.NumberFormat];

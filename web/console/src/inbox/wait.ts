import type { IconName } from "../ui/icons.ts";

/** How long a visitor has waited, in the three steps that the list tells apart by icon and colour. */
export type WaitLevel = "fresh" | "long" | "late";

/** Waits longer than these step up: 2 minutes, then 5. */
const LONG_MS = 2 * 60_000;
const LATE_MS = 5 * 60_000;

/** Each level has its own icon, because colour alone says nothing to some. */
export const WAIT_ICONS: Record<WaitLevel, IconName> = { fresh: "clock", long: "hourglass", late: "alert" };

/** The level of a wait. */
export function waitLevel(ms: number): WaitLevel {
  if (ms >= LATE_MS) return "late";
  return ms >= LONG_MS ? "long" : "fresh";
}

/** Timers are renewed this often, so they claim no more than that. */
const STEP_MS = 10_000;

/** The time waited, in whole steps; clocks that disagree never make it negative. */
export function waited(since: number, now: number): number {
  return Math.max(0, Math.floor((now - since) / STEP_MS) * STEP_MS);
}

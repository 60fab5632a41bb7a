/** What to do after a close: the table of the protocol in one place. */
import type { StopReason } from "./state.ts";

export type Ending =
  | { readonly then: "stop"; readonly reason: StopReason }
  /** Come back after full-jitter backoff, and not before `atLeastMs`. */
  | { readonly then: "backoff"; readonly reason: string; readonly atLeastMs: number }
  /** Come back at a random moment within the window that the server named. */
  | { readonly then: "spread"; readonly reason: string }
  | { readonly then: "renew"; readonly reason: string };

const STOPS: Readonly<Record<number, StopReason>> = {
  4500: "bad_protocol",
  4501: "unauthorized",
  4502: "connect_timeout",
  4503: "banned",
  4504: "too_many_sessions",
  4505: "version_too_old",
};

/** `reason` is the server's own word, where it had time for one. */
export function ending(code: number, reason: string): Ending {
  if (code >= 4500 && code < 5000) return { then: "stop", reason: STOPS[code] ?? "closed" };
  if (code === 4001) return { then: "spread", reason };
  if (code === 4004) return { then: "renew", reason };
  return { then: "backoff", reason: reason || "connection_lost", atLeastMs: code === 4006 ? 5_000 : 0 };
}

const FIRST_MS = 500;
const LONGEST_MS = 20_000;

/** Full jitter: anywhere between now and a ceiling that doubles from 0.5 s to 20 s. */
export function backoffMs(attempt: number, random: number): number {
  return random * Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
}

import type { Head } from "@deskbell/client";

/** Who has waited longest comes first; those who wait for nobody follow in the order given. */
export function byWaiting(ids: readonly string[], headOf: (id: string) => Head | undefined): string[] {
  const since = (id: string): number => headOf(id)?.waiting_since ?? Number.POSITIVE_INFINITY;
  return ids
    .map((id, place) => ({ id, place, since: since(id) }))
    .sort((a, b) => (a.since === b.since ? a.place - b.place : a.since - b.since))
    .map(({ id }) => id);
}

/**
 * The order to show while the pointer rests on the list: what is shown stays where it is, even a row that left the list;
 * rows that came are kept for later.
 */
export function steady(shown: readonly string[], live: readonly string[], held: boolean): readonly string[] {
  if (!held || shown.length === 0) return live;
  return live.length > shown.length && shown.every((id, index) => live[index] === id) ? live : shown;
}

/** How many places differ between what is shown and what would be shown. */
export function changes(shown: readonly string[], live: readonly string[]): number {
  if (shown === live) return 0;
  const before = new Set(shown);
  const came = live.filter((id) => !before.has(id)).length;
  if (came > 0) return came;
  return live.filter((id, index) => shown[index] !== id).length;
}

/** The conversation to go to when `id` leaves the list: the one below, else the one above. */
export function neighbour(ids: readonly string[], id: string, step: 1 | -1 = 1): string | null {
  const index = ids.indexOf(id);
  if (index < 0) return ids[0] ?? null;
  return ids[index + step] ?? ids[index - step] ?? null;
}

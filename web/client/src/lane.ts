/** A lane is a run of entries without holes; these functions keep it one. */
import type { Lane } from "./state.ts";
import type { Entry } from "./wire.ts";

export const NO_ENTRIES: Lane = { entries: [], last: 0, older: false };

const ascending = (entries: readonly Entry[]) => [...entries].sort((a, b) => a.seq - b.seq);

/** An empty lane that goes on after `last`. */
export function laneAt(last: number): Lane {
  return { entries: [], last, older: last > 0 };
}

/** Adds what is new. Entries that begin beyond the next one can't be joined: then the lane starts over with them. */
export function append(lane: Lane, entries: readonly Entry[]): Lane {
  const fresh = ascending(entries).filter((entry) => entry.seq > lane.last);
  const first = fresh[0];
  const last = fresh.at(-1);
  if (!first || !last) return lane;
  const joins = first.seq === lane.last + 1;
  if (!joins) return { entries: fresh, last: last.seq, older: first.seq > 1 };
  return { entries: [...lane.entries, ...fresh], last: last.seq, older: lane.older };
}

/** Adds older entries in front; `more` says whether the server has still older ones. */
export function prepend(lane: Lane, entries: readonly Entry[], more: boolean): Lane {
  const first = lane.entries[0]?.seq ?? lane.last + 1;
  const older = ascending(entries).filter((entry) => entry.seq < first);
  if (older.length > 0 && older.at(-1)!.seq !== first - 1) return lane;
  return { entries: [...older, ...lane.entries], last: lane.last, older: more };
}

/** Forgets all but the newest entries. */
export function trim(lane: Lane, keep: number): Lane {
  if (lane.entries.length <= keep) return lane;
  return { entries: lane.entries.slice(-keep), last: lane.last, older: true };
}

export function hasKey(lane: Lane, key: string): boolean {
  return lane.entries.some((entry) => entry.key === key);
}

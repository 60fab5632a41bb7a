import type { Conversation, Lane } from "./state.ts";
import type { Entry } from "./wire.ts";

const known = new WeakMap<Lane, WeakMap<Lane, readonly Entry[]>>();

/** Both lanes by time, the thread first where times agree; only as far back as both are loaded, so that nothing is missing. */
export function timeline({ thread, desk }: Pick<Conversation, "thread" | "desk">): readonly Entry[] {
  let byDesk = known.get(thread);
  if (!byDesk) known.set(thread, (byDesk = new WeakMap()));
  let entries = byDesk.get(desk);
  if (!entries) byDesk.set(desk, (entries = interleave(thread, desk)));
  return entries;
}

function interleave(thread: Lane, desk: Lane): readonly Entry[] {
  const from = Math.max(begin(thread), begin(desk));
  const all = [...thread.entries, ...desk.entries].filter(({ at }) => at >= from);
  // Sorting is stable: within a lane and a millisecond the order of the log stays.
  return all.sort((a, b) => a.at - b.at);
}

/** Before this time the lane may have entries that are not here. */
function begin({ older, entries }: Lane): number {
  if (!older) return -Infinity;
  return entries[0]?.at ?? -Infinity;
}

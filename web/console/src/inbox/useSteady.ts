import { useCallback, useEffect, useRef, useState } from "react";
import { changes, steady } from "./order.ts";

/** A pointer that has not moved for this long points at nothing any more. */
const REST_MS = 15_000;

/**
 * Keeps rows where they are while the pointer is on them. Whoever goes on by keyboard, searches or sorts sees the list as it is
 * at once; `asked` changes when another list was asked for.
 */
export function useSteady(live: readonly string[], asked: string) {
  const [held, setHeld] = useState(false);
  const before = useRef({ ids: live, asked });
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const ids = steady(before.current.ids, live, held && before.current.asked === asked);
  useEffect(() => {
    before.current = { ids, asked };
  }, [ids, asked]);
  const hold = useCallback((on: boolean) => {
    clearTimeout(timer.current);
    setHeld(on);
    if (on) timer.current = setTimeout(() => setHeld(false), REST_MS);
  }, []);
  const release = useCallback(() => hold(false), [hold]);
  useEffect(() => {
    document.addEventListener("keydown", release);
    return () => {
      document.removeEventListener("keydown", release);
      clearTimeout(timer.current);
    };
  }, [release]);
  return { ids, hold, pending: ids === live ? 0 : changes(ids, live), release };
}

import type { Conversation } from "@deskbell/client";
import { useEffect, useRef } from "react";
import { me } from "../app/agent.ts";
import { changeSince, SEEN_MS } from "./hold.ts";

/**
 * Says up to which `seq` the writer has seen the thread: who goes on typing with a visitor's new line before their eyes has
 * read it. A colleague's answer is never taken as seen; it asks for a decision.
 */
export function useSeen({ thread }: Conversation): (before: number) => number {
  const arrived = useRef(0);
  useEffect(() => {
    arrived.current = Date.now();
  }, [thread.last]);
  return (before) => {
    const change = changeSince(thread.entries, before, me());
    if (change !== null && change.kind !== "visitor") return before;
    const inSight = Date.now() - arrived.current >= SEEN_MS && document.visibilityState === "visible";
    return change === null || inSight ? thread.last : before;
  };
}

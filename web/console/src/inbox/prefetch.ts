import { useEffect } from "react";
import { agent } from "../app/agent.ts";

/** The newest messages of this many rows are loaded before anyone opens them. */
const AHEAD = 50;
/** One at a time, this far apart, so that what people do always goes first. */
const APART_MS = 120;

/** Loads the newest messages of the first rows in the background. */
export function usePrefetch(ids: readonly string[]): void {
  const first = ids.slice(0, AHEAD).join(" ");
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const waiting = first === "" ? [] : first.split(" ");
    const next = async (): Promise<void> => {
      let id = waiting.shift();
      while (id !== undefined && agent.conversation(id).getSnapshot() !== undefined) id = waiting.shift();
      if (id === undefined) return;
      if (agent.status.getSnapshot().state === "online") await agent.prefetch(id).catch(() => undefined);
      timer = setTimeout(() => void next(), APART_MS);
    };
    timer = setTimeout(() => void next(), APART_MS);
    return () => {
      waiting.length = 0;
      clearTimeout(timer);
    };
  }, [first]);
}

/** Loads a conversation that the pointer or the focus has come to. */
export function prefetchNow(id: string): void {
  if (agent.conversation(id).getSnapshot() === undefined) void agent.prefetch(id).catch(() => undefined);
}

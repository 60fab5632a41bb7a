import type { Conversation } from "@deskbell/client";
import { useEffect, useState } from "react";
import { agent, useMayWrite } from "../app/agent.ts";

/** Tells the server what was read: only what stood at the end of a thread that somebody looks at. */
export function useRead({ id, live, thread, read }: Conversation, atEnd: boolean): void {
  const front = useInFront();
  const writes = useMayWrite();
  const seq = thread.last;
  useEffect(() => {
    if (writes && front && live && atEnd && seq > read.agent) agent.read(id, seq);
  }, [writes, front, live, atEnd, seq, id, read.agent]);
}

/** Whether this page is visible and has the keyboard. */
function useInFront(): boolean {
  const [front, setFront] = useState(inFront);
  useEffect(() => {
    const look = (): void => setFront(inFront());
    addEventListener("focus", look);
    addEventListener("blur", look);
    document.addEventListener("visibilitychange", look);
    return () => {
      removeEventListener("focus", look);
      removeEventListener("blur", look);
      document.removeEventListener("visibilitychange", look);
    };
  }, []);
  return front;
}

function inFront(): boolean {
  return document.visibilityState === "visible" && document.hasFocus();
}

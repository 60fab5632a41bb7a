// The other side of frame.ts: the hosted page inside a frame. Which sites may frame it is the server's word
// (frame-ancestors), so whoever is the parent may hear what happens here.
import type { Chat } from "../chat/chat.ts";
import { carryOut } from "../chat/calls.ts";
import type { Call } from "../seat.ts";
import type { Crossing } from "./frame.ts";

const CALLS = ["open", "set", "locale", "identify", "send"];
const EVENTS = ["close", "unread", "message"];

/** Passes the page's calls in and the chat's events out. */
export function begin(chat: Chat): void {
  const deskbell = (window as unknown as { Deskbell: (...call: unknown[]) => void }).Deskbell;
  for (const event of EVENTS)
    deskbell("on", event, (value: unknown) => window.parent.postMessage({ deskbell: [event, value] } satisfies Crossing, "*"));
  const listen = ({ source, data }: MessageEvent<Partial<Crossing>>) => {
    if (source !== window.parent || !data.deskbell || !CALLS.includes(data.deskbell[0])) return;
    carryOut(chat, [...data.deskbell] as Call);
  };
  addEventListener("message", listen);
  chat.leave.push(() => removeEventListener("message", listen));
}

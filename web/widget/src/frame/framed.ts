// The other side of frame.ts: the hosted page inside a frame. Which sites may frame it is the server's word
// (frame-ancestors), so whoever is the parent may hear what happens here.
import type { Chat } from "../chat/chat.ts";
import { carryOut } from "../chat/calls.ts";
import type { Call } from "../seat.ts";
import type { Crossing } from "./frame.ts";

const CALLS = ["open", "set", "locale", "identify", "send"];
const EVENTS = ["close", "unread", "message"];

/** Passes the site's calls in and the chat's events out. */
export function begin(chat: Chat): void {
  const { seat } = chat;
  const page = window as unknown as { Deskbell(name: "on", event: string, listener: (value: unknown) => void): void };
  const tell = (...crossing: Crossing["deskbell"]) => window.parent.postMessage({ deskbell: crossing } satisfies Crossing, "*");
  for (const event of EVENTS) page.Deskbell("on", event, (value) => tell(event, value));

  // The launcher outside is called as the one in here would be.
  const { paint } = seat;
  let told: string | undefined;
  seat.paint = () => {
    paint();
    if (seat.label !== told) tell("label", (told = seat.label));
  };
  addEventListener("message", ({ source, data }: MessageEvent<Partial<Crossing>>) => {
    if (source !== window.parent || !data.deskbell) return;
    const [name] = data.deskbell;
    if (CALLS.includes(name)) carryOut(chat, [...data.deskbell] as Call);
    if (name !== "close") return;
    // Out of sight: what arrives from now on is unread.
    chat.open = false;
    chat.changed();
  });
  tell("ready");
}

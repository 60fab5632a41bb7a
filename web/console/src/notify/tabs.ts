import { createKey } from "@deskbell/client";

/** What one tab has in front of the person: a conversation, or nothing while it is in the background. */
interface Glance {
  readonly tab: string;
  readonly conversation: string | null;
  /** The tab is visible and has the keyboard. */
  readonly front: boolean;
  readonly at: number;
}

/** A tab that vanished without a word is forgotten after this; a tab in front repeats itself sooner. */
const STALE_MS = 30_000;
const REPEAT_MS = 10_000;

const tab = createKey();
const glances = new Map<string, Glance>();
const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("deskbell.glance");
let open: string | null = null;

/** Tells the other tabs what this one shows. */
export function showing(conversation: string | null): void {
  open = conversation;
  tell();
}

/** True when somebody looks at this conversation in any tab of this browser. */
export function seenSomewhere(conversation: string, now = Date.now()): boolean {
  if (inFront() && open === conversation) return true;
  return [...glances.values()].some((glance) => glance.conversation === conversation && now - glance.at < STALE_MS);
}

/** True when any tab of the console is in front, so that the person sees by themselves what comes. */
export function anyInFront(now = Date.now()): boolean {
  return inFront() || [...glances.values()].some(({ front, at }) => front && now - at < STALE_MS);
}

/** Listens to the other tabs for as long as somebody is signed in. */
export function followTabs(): () => void {
  const hear = ({ data }: MessageEvent<Glance>): void => void glances.set(data.tab, data);
  channel?.addEventListener("message", hear);
  const timer = setInterval(() => inFront() && tell(), REPEAT_MS);
  const events = ["focus", "blur", "pagehide"] as const;
  for (const event of events) addEventListener(event, tell);
  document.addEventListener("visibilitychange", tell);
  tell();
  return () => {
    channel?.removeEventListener("message", hear);
    clearInterval(timer);
    for (const event of events) removeEventListener(event, tell);
    document.removeEventListener("visibilitychange", tell);
  };
}

function tell(): void {
  const front = inFront();
  channel?.postMessage({ tab, conversation: front ? open : null, front, at: Date.now() } satisfies Glance);
}

function inFront(): boolean {
  return document.visibilityState === "visible" && document.hasFocus();
}

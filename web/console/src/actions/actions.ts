import type { Failure, Head, Outcome, Write } from "@deskbell/client";
import { agent, colleague, me } from "../app/agent.ts";
import { locale } from "../i18n/locale.ts";
import type { Key, Params } from "../i18n/translate.ts";
import { toast } from "../shell/toasts.ts";
import { visitorName } from "../ui/useVisitorName.ts";
import { lay, lift, type Overlay } from "./overlay.ts";

/** A confirmed change normally shows in the head within milliseconds; after this the overlay goes whatever happened. */
const SETTLE_MS = 4_000;

/** Makes a conversation one's own; works only while nobody has it. */
export async function take(id: string): Promise<boolean> {
  const done = await optimistic(id, { assignee: me() }, agent.assign(id, "me"), "fail.take");
  if (done) toast("done", say("did.take", { name: nameOf(id) }), undo(() => void handBack(id)));
  return done;
}

/** Gives a conversation to an agent, oneself included. */
export async function assign(id: string, to: string): Promise<boolean> {
  const before = assigneeOf(id);
  if (before === to) return true;
  if (to === me() && before === null) return take(id);
  const done = await optimistic(id, { assignee: to }, agent.assign(id, to), "fail.assign");
  if (done) {
    const back = () => void (before === null ? handBack(id) : assign(id, before));
    toast("done", say("did.assign", { name: nameOf(id), agent: agentName(to) }), undo(back));
  }
  return done;
}

/** Puts a conversation back among those that nobody has. */
export async function handBack(id: string): Promise<boolean> {
  const before = assigneeOf(id);
  const done = await optimistic(id, { assignee: null }, agent.assign(id, null), "fail.handBack");
  if (done) {
    const back = before === null ? undefined : undo(() => void (before === me() ? take(id) : assign(id, before)));
    toast("done", say("did.handBack", { name: nameOf(id) }), back);
  }
  return done;
}

/** Ends a conversation; writing to it opens it again, which `goBack` leads to. */
export async function close(id: string, goBack: () => void): Promise<boolean> {
  const done = await optimistic(id, { status: "closed" }, agent.close(id), "fail.close");
  if (done) toast("done", say("did.close", { name: nameOf(id) }), { label: say("did.close.back"), run: goBack });
  return done;
}

/** Shuts the visitor of a conversation out, or lets it in again. */
export async function block(id: string, on: boolean): Promise<void> {
  try {
    await agent.ban(id, on);
    toast("done", say(on ? "did.block" : "did.unblock", { name: nameOf(id) }));
  } catch (error) {
    toast("failed", say("fail.block", { name: nameOf(id), reason: error instanceof Error ? error.message : "" }));
  }
}

/** Switches between online and away, and says so when that failed. */
export async function setAvailability(status: "online" | "away"): Promise<void> {
  try {
    await agent.availability(status);
  } catch (error) {
    toast("failed", say("fail.availability", { reason: error instanceof Error ? error.message : "" }));
  }
}

/** What went wrong, in words: for a conflict who was first, else what the server said. */
export function reason(id: string, error: Failure): string {
  const holder = assigneeOf(id);
  if (error.code === "conflict" && holder !== null && holder !== me()) return say("fail.taken", { agent: agentName(holder) });
  if (error.code === "offline") return say("fail.offline");
  return error.message;
}

async function optimistic(id: string, overlay: Overlay, write: Write, failure: Key): Promise<boolean> {
  lay(id, overlay);
  const outcome: Outcome = await write.settled;
  if (outcome.ok) {
    void confirmed(id, overlay).then(() => lift(id));
    return true;
  }
  lift(id);
  toast("failed", say(failure, { name: nameOf(id), reason: reason(id, outcome.error) }));
  return false;
}

/** Resolves when the head says the same as the overlay, or after a while. */
function confirmed(id: string, overlay: Overlay): Promise<void> {
  const head = agent.head(id);
  return new Promise((resolve) => {
    const check = (): void => {
      const now = head.getSnapshot();
      if (now === undefined || agrees(now, overlay)) finish();
    };
    const finish = (): void => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(finish, SETTLE_MS);
    const stop = head.subscribe(check);
    check();
  });
}

function agrees(head: Head, { assignee, status }: Overlay): boolean {
  return (assignee === undefined || head.assignee === assignee) && (status === undefined || head.status === status);
}

function assigneeOf(id: string): string | null {
  const head = agent.head(id).getSnapshot();
  return head === undefined ? (agent.conversation(id).getSnapshot()?.assignee?.id ?? null) : head.assignee;
}

function agentName(id: string): string {
  return colleague(agent.agents.getSnapshot(), id)?.name ?? say("agent.unknown");
}

function nameOf(id: string): string {
  return visitorName(agent.conversation(id).getSnapshot()?.visitor ?? agent.head(id).getSnapshot()?.visitor, locale().t);
}

function undo(run: () => void): { label: string; run: () => void } {
  return { label: say("undo"), run };
}

function say(key: Key, params?: Params): string {
  return locale().t(key, params);
}

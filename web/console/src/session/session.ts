import { create } from "zustand";
import { agent } from "../app/agent.ts";
import { forgetDrafts } from "../composer/drafts.ts";
import { locale } from "../i18n/locale.ts";
import { dropLists } from "../inbox/lists.ts";
import { toast } from "../shell/toasts.ts";

interface SessionStore {
  /** Somebody was signed in on this page; losing that is told as an expiry. */
  readonly was: boolean;
}

/** What this page knows of its session beyond the client's state. */
export const useSession = create<SessionStore>()(() => ({ was: false }));

/** Tells the other tabs that the person left on purpose. */
const channel = typeof BroadcastChannel === "undefined" ? undefined : new BroadcastChannel("deskbell.session");
channel?.addEventListener("message", leave);

/** Signs in and connects. Rejects with the client's `DeskbellError`. */
export async function signIn(email: string, password: string): Promise<void> {
  await agent.login(email, password);
  agent.start();
}

/** Signs out; what was kept of this agent on this device goes with it. */
export async function signOut(): Promise<void> {
  useSession.setState({ was: false });
  try {
    await agent.logout();
  } catch (error) {
    useSession.setState({ was: true });
    toast("failed", locale().t("fail.signOut", { reason: error instanceof Error ? error.message : "" }));
    return;
  }
  leave();
  channel?.postMessage("left");
}

/** Nothing of the agent stays behind; and what follows is no expiry. */
function leave(): void {
  useSession.setState({ was: false });
  dropLists();
  forgetDrafts();
}

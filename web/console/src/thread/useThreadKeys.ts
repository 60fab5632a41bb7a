import type { ConversationStatus } from "@deskbell/client";
import { useNavigate } from "@tanstack/react-router";
import { take } from "../actions/actions.ts";
import { useCloseAndNext } from "../actions/useCloseAndNext.ts";
import { useMayWrite } from "../app/agent.ts";
import { setMode } from "../composer/drafts.ts";
import { focusComposer } from "../composer/focus.ts";
import type { ViewName } from "../inbox/view.ts";
import { useShortcuts } from "../keys/useShortcuts.ts";
import { openDialog } from "../shell/ui.ts";
import { useDetails } from "../visitor/useDetails.ts";

/** The shortcuts of an open conversation. */
export function useThreadKeys(id: string, view: ViewName, state: { status: ConversationStatus; assignee: string | null }): void {
  const navigate = useNavigate();
  const closeAndNext = useCloseAndNext(id, view);
  const { toggle } = useDetails();
  const write = (mode: "reply" | "note") => () => {
    setMode(id, mode);
    focusComposer();
  };
  const reading = {
    details: toggle,
    back: () => void navigate({ to: "/c/inbox/$view", params: { view }, search: ({ details: _, ...rest }) => rest }),
  };
  const writing = {
    reply: write("reply"),
    note: write("note"),
    assign: () => openDialog("assign"),
    ...(state.status === "open" ? { closeAndNext: () => void closeAndNext() } : {}),
    ...(state.assignee === null ? { take: () => void take(id) } : {}),
  };
  useShortcuts(useMayWrite() ? { ...reading, ...writing } : reading);
}

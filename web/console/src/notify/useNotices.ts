import type { Head } from "@deskbell/client";
import type { InboxView } from "@deskbell/client/agent";
import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { agent } from "../app/agent.ts";
import { locale } from "../i18n/locale.ts";
import { keptList } from "../inbox/lists.ts";
import { useSettings } from "../settings/settings.ts";
import { visitorName } from "../ui/useVisitorName.ts";
import { notify, withdraw } from "./desktop.ts";
import { type Known, ringOf } from "./events.ts";
import { play } from "./sound.ts";
import { anyInFront, followTabs, seenSomewhere } from "./tabs.ts";

/** Rings, and shows notices, for what is the agent's own or nobody's: once per browser, by the tab that leads. */
export function useNotices(): void {
  const navigate = useNavigate();
  useEffect(() => {
    const open = (conversation: string) =>
      void navigate({ to: "/c/inbox/$view/$conversation", params: { view: "mine", conversation }, search: {} });
    const stopTabs = followTabs();
    const known = new Map<string, Known>();
    const stops = (["mine", "unassigned"] as const).map((name) => follow(keptList(name), known, open));
    return () => {
      stopTabs();
      for (const stop of stops) stop();
    };
  }, [navigate]);
}

/** Watches the heads of one list. What is there at first is known; only what changes afterwards rings. */
function follow(view: InboxView, known: Map<string, Known>, open: (id: string) => void): () => void {
  const heads = new Map<string, () => void>();
  let started = false;
  const look = (id: string, quiet: boolean): void => {
    const head = agent.head(id).getSnapshot();
    if (head === undefined) return;
    const ring = quiet ? null : ringOf(known.get(id), head);
    known.set(id, { at: head.at });
    if (head.unread === 0) withdraw(id);
    if (ring !== null) call(head, ring, open);
  };
  const sync = (): void => {
    const { ids, state } = view.snapshot.getSnapshot();
    const listed = new Set(ids);
    for (const [id, stop] of heads) {
      if (listed.has(id)) continue;
      stop();
      heads.delete(id);
    }
    for (const id of ids) {
      if (heads.has(id)) continue;
      heads.set(id, agent.head(id).subscribe(() => look(id, false)));
      look(id, !started);
    }
    started ||= state === "ready";
  };
  const stop = view.snapshot.subscribe(sync);
  sync();
  return () => {
    stop();
    for (const stopHead of heads.values()) stopHead();
  };
}

function call(head: Head, ring: "chat" | "message", open: (id: string) => void): void {
  if (!agent.leader.getSnapshot() || seenSomewhere(head.conversation)) return;
  play(ring);
  if (!useSettings.getState().desktopNotices || anyInFront()) return;
  const { t } = locale();
  const name = visitorName(head.visitor, t);
  const title = ring === "chat" ? t("notice.chat", { name }) : t("notice.message", { name });
  notify(head.conversation, title, head.preview, () => open(head.conversation));
}

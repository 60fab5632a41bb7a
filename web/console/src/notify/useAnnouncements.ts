import { useEffect } from "react";
import { agent } from "../app/agent.ts";
import { locale } from "../i18n/locale.ts";
import { visitorName } from "../ui/useVisitorName.ts";
import { announce } from "./announce.ts";

/** Reads out what others write in the open conversation while it is open. */
export function useAnnouncements(id: string): void {
  useEffect(
    () =>
      agent.onArrival(({ conversation, entry, own, live }) => {
        if (conversation !== id || own || !live || (entry.event !== "message" && entry.event !== "note")) return;
        const { t } = locale();
        const visitor = agent.conversation(id).getSnapshot()?.visitor;
        const name = entry.from.kind === "visitor" ? visitorName(visitor, t) : (entry.from.name ?? t("agent.unknown"));
        announce(t(entry.event === "note" ? "announce.note" : "announce.message", { name, text: entry.body.text }));
      }),
    [id],
  );
}

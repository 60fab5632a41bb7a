// The second half of the app: all that only a conversation needs. It is fetched while the visitor reads the welcome.
import type { Conversation } from "@deskbell/client";
import { Fragment, h } from "preact";
import type { Chat } from "../chat/chat.ts";
import more from "../i18n/en.later.json";
import { addEnglish } from "../i18n/index.ts";
import type { Around } from "../view/header.tsx";
import laterCss from "../style/later.css?inline";
import threadCss from "../style/thread.css?inline";
import { badgeTitle } from "./badge.ts";
import { Closed, ConfirmClose } from "./closed.tsx";
import { Contact } from "./contact.tsx";
import { wear } from "../view/wear.ts";
import { stayOn, watchPages } from "./pages.ts";

export { Announcements } from "./arrivals.tsx";
export { tendBadge } from "./badge.ts";
export { ConnectionBar } from "./connection.tsx";
export { Avatar } from "./avatar.tsx";
export { Previous } from "./previous.tsx";
export { Thread } from "./thread.tsx";
export { Tools } from "./tools.tsx";

/** What this module gives the first half. */
export type Later = typeof import("./later.tsx");

/** Starts what runs beside the panel. */
export function begin(chat: Chat): void {
  addEnglish(more);
  wear(chat.seat.root, threadCss + laterCss);
  const look = () => chat.changed();
  document.addEventListener("visibilitychange", look);
  chat.leave.push(
    () => document.removeEventListener("visibilitychange", look),
    () => (document.title = badgeTitle(document.title, 0)),
    stayOn(chat.seat.host),
    watchPages((page) => chat.visitor.page(page)),
  );
}

/** What stands between thread and composer. */
export function Below({ chat, conversation }: Around) {
  const identified = chat.visitor.profile.getSnapshot()?.visitor.identified;
  if (!conversation) return chat.away() && !identified ? <Contact chat={chat} /> : null;
  if (conversation.status === "closed") return <Closed chat={chat} conversation={conversation} />;
  return (
    <>
      <Queue chat={chat} conversation={conversation} />
      {chat.asksToClose && <ConfirmClose chat={chat} conversation={conversation} />}
    </>
  );
}

// Whoever waits learns for how long, or that nobody is there.
function Queue({ chat, conversation: { queue, assignee } }: { chat: Chat; conversation: Conversation }) {
  const { t } = chat.language;
  if (chat.away() && !assignee)
    return (
      <p class="queue" role="status">
        {t("welcome.away")}
      </p>
    );
  if (!queue) return null;
  const minutes = Math.round((queue.eta_ms ?? 0) / 60_000);
  return (
    <p class="queue" role="status" data-testid="queue">
      <b>{t("queue.position", { n: queue.position })}</b>
      {queue.eta_ms !== undefined && <span>{minutes < 1 ? t("queue.soon") : t("queue.eta", { n: minutes })}</span>}
    </p>
  );
}

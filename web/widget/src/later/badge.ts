// How many messages wait unread: on the launcher, in its name, and before the page's title.
import type { Chat } from "../chat/chat.ts";

/** Puts the number of unread messages before the page's title, and takes it away again. The page may change the rest. */
export function badgeTitle(title: string, unread: number): string {
  const plain = title.replace(/^\(\d+\+?\) /, "");
  return unread > 0 ? `(${shortly(unread)}) ${plain}` : plain;
}

const told = new WeakMap<Chat, number>();

/** Shows the number, and tells the page when it changed. */
export function tendBadge(chat: Chat): void {
  const { seat, open, language } = chat;
  const unread = chat.visitor.unread.getSnapshot();
  let badge = seat.button.querySelector<HTMLElement>(".badge");
  if (!badge) {
    badge = document.createElement("span");
    badge.className = "badge";
    badge.ariaHidden = "true";
    seat.button.append(badge);
  }
  badge.textContent = shortly(unread);
  badge.hidden = open || !unread;
  if (!open && unread) seat.label = language.t("launcher.unread", { n: unread });
  const title = badgeTitle(document.title, open && !document.hidden ? 0 : unread);
  if (title !== document.title) document.title = title;
  if (unread !== (told.get(chat) ?? 0)) seat.emit("unread", unread);
  told.set(chat, unread);
}

function shortly(unread: number): string {
  return unread > 99 ? "99+" : String(unread);
}

// The app behind the launcher: fetched when a visitor turns to it.
import { h, render } from "preact";
import { carryOut } from "./chat/calls.ts";
import { Chat, isPhone } from "./chat/chat.ts";
import { wear } from "./view/wear.ts";
import { Panel } from "./view/panel.tsx";
import type { App, Call, Seat } from "./seat.ts";
import panelCss from "./style/panel.css?inline";
import composerCss from "./style/composer.css?inline";

/** Takes the seat over from the loader; returns what takes the page's calls from now on. */
export function start(seat: Seat): App {
  const { host, root, button, settings } = seat;
  const place = document.createElement("div");
  place.className = "place";
  root.prepend(place);
  wear(root, panelCss + composerCss);
  keepKeysIn(host);

  let wasOpen = false;
  let followed: string | undefined;
  let unfollow = () => {};
  let gone = false;
  const draw = () => {
    if (gone) return;
    const { language, open, later } = chat;
    const slot = chat.current();
    if (slot !== followed) {
      unfollow();
      followed = slot;
      unfollow = slot ? chat.visitor.conversation(slot).subscribe(() => chat.changed()) : () => {};
    }
    chat.draft.follow(slot, chat.conversation()?.id);
    const { state } = chat.visitor.status.getSnapshot();
    if (slot || (open && (chat.away() || state === "waiting" || state === "stopped"))) void chat.fetchLater();
    seat.label = language.t(open ? "launcher.close" : "launcher.open");
    later?.tendBadge(chat);
    seat.paint();
    host.lang = language.tag;
    host.dir = language.dir;
    host.toggleAttribute("data-open", open);
    button.ariaExpanded = String(open);
    if (settings.mode === "page") document.title = chat.visitor.profile.getSnapshot()?.project.name ?? document.title;
    render(<Panel chat={chat} />, place);
    if (open && !wasOpen && isPhone() && settings.mode !== "page") void import("./view/phone.ts").then((phone) => phone.fill(root));
    wasOpen = open;
  };
  const chat = new Chat(seat, draw);
  if (settings.mode === "page" && window.parent !== window) void import("./frame/framed.ts").then(({ begin }) => begin(chat));
  void chat.start();

  return (call: Call) => {
    if (call[0] !== "destroy") return carryOut(chat, call);
    gone = true;
    render(null, place);
    for (const leave of chat.leave) leave();
    chat.visitor.destroy();
    host.remove();
  };
}

// What is typed here is no business of the host page's shortcuts.
function keepKeysIn(host: HTMLElement): void {
  for (const kind of ["keydown", "keyup", "keypress"]) host.addEventListener(kind, (event) => event.stopPropagation());
}

// The panel: a dialog that leaves the page usable on a desktop, and fills a phone.
import { Fragment, h } from "preact";
import { isPhone, type Chat } from "../chat/chat.ts";
import { Composer } from "./composer.tsx";
import { Header } from "./header.tsx";
import { BELL, Icon } from "./icon.tsx";

/** All that shows, but the launcher. */
export function Panel({ chat }: { chat: Chat }) {
  const { open, leaving, later, seat, language } = chat;
  const project = chat.visitor.profile.getSnapshot()?.project.name;
  const whole = seat.settings.mode === "page";
  return (
    <>
      {later && <later.Announcements chat={chat} />}
      {(open || leaving) && (
        <section
          class={open ? "panel" : "panel leaving"}
          role={whole ? "main" : "dialog"}
          aria-modal={(isPhone() && !whole) || undefined}
          aria-label={project ? language.t("panel.title", { project }) : language.t("launcher.open")}
          inert={!open}
          onKeyDown={(event) => {
            if (event.key === "Escape" && !event.isComposing && !event.defaultPrevented) chat.hide();
          }}
        >
          {later && chat.previous ? <later.Previous chat={chat} /> : <Main chat={chat} />}
        </section>
      )}
    </>
  );
}

function Main({ chat }: { chat: Chat }) {
  const { later } = chat;
  const conversation = chat.conversation();
  const around = { chat, conversation };
  // Unlike the conversation's id this does not change when the server gives it one.
  const slot = chat.current();
  return (
    <>
      <Header {...around} />
      {later && <later.ConnectionBar chat={chat} />}
      {!conversation ? <Welcome chat={chat} /> : later ? <later.Thread key={slot} chat={chat} conversation={conversation} /> : <div class="grow" />}
      {later && <later.Below key={`below ${slot}`} {...around} />}
      {chat.visitor.status.getSnapshot().state !== "stopped" && <Composer {...around} />}
    </>
  );
}

function Welcome({ chat }: { chat: Chat }) {
  const { t } = chat.language;
  const away = chat.away();
  return (
    <div class="welcome">
      <span class="emblem">
        <Icon path={BELL} />
      </span>
      <h3>{t(away ? "welcome.away.title" : "welcome.title")}</h3>
      <p>{t(away ? "welcome.away" : "welcome.online")}</p>
    </div>
  );
}

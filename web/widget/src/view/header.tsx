import type { Conversation } from "@deskbell/client";
import { h } from "preact";
import type { Chat } from "../chat/chat.ts";
import { BELL, CLOSE, Icon } from "./icon.tsx";

/** What the parts of a conversation are told. */
export interface Around {
  readonly chat: Chat;
  /** None before the first message. */
  readonly conversation: Conversation | undefined;
}

/** Who is there, and what else can be done. */
export function Header({ chat, conversation }: Around) {
  const { later } = chat;
  const { t } = chat.language;
  const profile = chat.visitor.profile.getSnapshot();
  // Who had a conversation that is over is not there any more.
  const name = conversation?.status === "open" ? conversation.assignee?.name : undefined;
  const state = !profile ? "connecting" : chat.away() ? "away" : "online";
  return (
    <div class="header">
      {name && later ? (
        <later.Avatar name={name} />
      ) : (
        <span class="avatar">
          <Icon path={BELL} />
        </span>
      )}
      <div class="grow">
        <h2>{profile?.project.name ?? t("launcher.open")}</h2>
        <p class="presence" data-state={state} data-testid="presence">
          {name ? t("agents.with", { name }) : t(`agents.${state}`)}
        </p>
      </div>
      {later && <later.Tools chat={chat} conversation={conversation} />}
      <CloseButton chat={chat} />
    </div>
  );
}

/** Closes the panel; the hosted page has nothing to close, unless it stands in a frame. */
export function CloseButton({ chat }: { chat: Chat }) {
  return chat.seat.settings.mode === "page" && window.parent === window ? null : (
    <button type="button" class="tool" aria-label={chat.language.t("panel.close")} onClick={() => chat.hide()}>
      <Icon path={CLOSE} />
    </button>
  );
}

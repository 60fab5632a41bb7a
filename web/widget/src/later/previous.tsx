import { Fragment, h } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Chat } from "../chat/chat.ts";
import { CloseButton } from "../view/header.tsx";
import { Icon } from "../view/icon.tsx";
import { shortDate } from "./dates.ts";
import { ICONS } from "./icons.ts";

/** Every conversation of this visitor, newest first. */
export function Previous({ chat }: { chat: Chat }) {
  const { t } = chat.language;
  const ids = chat.visitor.conversations.getSnapshot();
  const back = () => {
    chat.previous = false;
    chat.takeFocus();
  };
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => button.current!.focus(), []);
  return (
    <>
      <div class="header">
        <button ref={button} type="button" class="tool" aria-label={t("panel.back")} onClick={back}>
          <Icon path={ICONS.back} name="back" />
        </button>
        <h2 class="grow">{t("previous.title")}</h2>
        <CloseButton chat={chat} />
      </div>
      <ul class="previous">
        {ids.map((id) => (
          <PreviousRow key={id} chat={chat} id={id} />
        ))}
        {ids.length === 0 && <li class="empty">{t("previous.empty")}</li>}
      </ul>
      <p class="choices">
        <button type="button" class="button wide" onClick={() => chat.choose(null)}>
          <Icon path={ICONS.plus} />
          {t("closed.new")}
        </button>
      </p>
    </>
  );
}

function PreviousRow({ chat, id }: { chat: Chat; id: string }) {
  const { language } = chat;
  const { t } = language;
  const conversation = chat.visitor.conversation(id).getSnapshot();
  if (!conversation) return null;
  const pending = conversation.pending.at(-1);
  const entry = conversation.thread.entries.findLast((one) => one.event === "message");
  const text = pending?.text ?? (entry?.event === "message" ? entry.body.text : "");
  const own = pending !== undefined || entry?.from.kind === "visitor";
  const at = pending?.at ?? conversation.thread.entries.at(-1)?.at;
  return (
    <li>
      <button type="button" class="row" onClick={() => chat.choose(id)}>
        <span class="grow">
          <span class="preview" dir="auto">
            {own ? t("previous.you", { text }) : text}
          </span>
          <small>
            {t(`previous.${conversation.status}`)}
            {at && <time dateTime={new Date(at).toISOString()}> · {shortDate(at, Date.now(), language)}</time>}
          </small>
        </span>
        {conversation.unread > 0 && <b class="count">{language.t("log.jump", { n: conversation.unread })}</b>}
      </button>
    </li>
  );
}

import type { Failure } from "@deskbell/client";
import { Fragment, h } from "preact";
import type { Chat } from "../chat/chat.ts";
import type { TextKey } from "../i18n/index.ts";
import { Icon } from "../view/icon.tsx";
import { Avatar } from "./avatar.tsx";
import { timeOf } from "./dates.ts";
import { ICONS } from "./icons.ts";
import type { MessageRow } from "./rows.ts";
import { Text } from "./text.tsx";

/** One message: who, what, when, and for an own one how far it came. */
export function Message({ chat, row, error }: { chat: Chat; row: MessageRow; error: Failure | undefined }) {
  const { language } = chat;
  const { t } = language;
  const name = row.own ? t("message.you") : row.name || t("message.agent");
  const time = timeOf(row.at, language);
  return (
    <div class={`message ${row.own ? "own" : "theirs"}${row.first ? " first" : ""}${row.last ? " last" : ""}`} data-row={`m ${row.key}`}>
      {!row.own && row.first && (
        <p class="who" aria-hidden="true">
          {name}
        </p>
      )}
      {!row.own && row.last && <Avatar name={name} />}
      <div class="bubble" data-delivery={row.delivery}>
        <span class="unseen">{t("message.said", { name, time })} </span>
        <p dir="auto" class="text">
          <Text text={row.text} newTab={t("link.new")} />
        </p>
      </div>
      {(row.last || row.showDelivery) && (
        <p class="meta">
          <time dateTime={new Date(row.at).toISOString()} aria-hidden="true">
            {time}
          </time>
          {row.showDelivery && row.delivery && (
            <span class="delivery" data-state={row.delivery}>
              <Icon path={ICONS[row.delivery]} />
              {t(`message.${row.delivery}`)}
            </span>
          )}
          {row.delivery === "failed" && (
            <>
              <button type="button" class="inline" onClick={() => chat.visitor.retry(row.key)}>
                {t("message.retry")}
              </button>
              <button type="button" class="inline" onClick={() => chat.visitor.discard(row.key)}>
                {t("message.discard")}
              </button>
            </>
          )}
        </p>
      )}
      {/* The server's own words are English; they stand in where there are none here. */}
      {error && <p class="why wrong">{t(`refused.${error.code}` as TextKey) || error.message}</p>}
    </div>
  );
}

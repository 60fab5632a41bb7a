import type { Conversation, Typing } from "@deskbell/client";
import { useLocale } from "../i18n/locale.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Icon } from "../ui/Icon.tsx";
import css from "./LiveDraft.module.css";

/** What the visitor is typing right now. The widget tells visitors of such projects that agents can see it. */
export function LiveDraft({ conversation, name }: { conversation: Conversation; name: string }) {
  const typing = conversation.typing.find(({ by }) => by.kind === "visitor");
  if (typing === undefined) return null;
  return (
    <div className={css.draft}>
      <Avatar id={conversation.visitor?.id ?? ""} name={conversation.visitor?.name ?? typing.by.name} size="m" />
      {typing.text === undefined || typing.text.trim() === "" ? <Dots name={name} /> : <Words typing={typing} name={name} />}
    </div>
  );
}

function Words({ typing, name }: { typing: Typing; name: string }) {
  const { t } = useLocale();
  return (
    <div className={css.column}>
      <span className={css.label}>
        <Icon name="eye" size={13} />
        {t("draft.live", { name })}
      </span>
      <p className={css.words} dir="auto">
        {typing.text}
        <span className={css.caret} aria-hidden="true" />
      </p>
    </div>
  );
}

function Dots({ name }: { name: string }) {
  const { t } = useLocale();
  return (
    <div className={css.dots}>
      <span className="visually-hidden">{t("draft.typing", { name })}</span>
      <span aria-hidden="true" />
      <span aria-hidden="true" />
      <span aria-hidden="true" />
    </div>
  );
}

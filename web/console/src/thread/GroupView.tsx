import { agent, useAgentName } from "../app/agent.ts";
import { setDraft, setMode } from "../composer/drafts.ts";
import { focusComposer } from "../composer/focus.ts";
import { useLocale } from "../i18n/locale.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Button } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import css from "./GroupView.module.css";
import type { Group, Message } from "./items.ts";
import { Text } from "./Text.tsx";

/** Told apart by shape and by word, not by colour. */
const MARKS = { queued: "clock", sending: "clock", sent: "check", delivered: "checks", seen: "eye" } as const;

interface GroupProps {
  readonly group: Group;
  readonly conversation: string;
  readonly name: string;
}

/** Messages of one person under one name; notes look like notes. */
export function GroupView({ group, conversation, name }: GroupProps) {
  const { t, dates } = useLocale();
  const visitor = group.from.kind === "visitor";
  const known = useAgentName(visitor ? null : group.from.id);
  const full = visitor ? (group.from.name ?? name) : (known ?? group.from.name ?? t("agent.unknown"));
  const author = group.own ? t("you") : full;
  return (
    <article className={css.group} data-side={visitor ? "start" : "end"} data-lane={group.lane} aria-label={author}>
      {visitor && <Avatar id={group.from.id ?? ""} name={group.from.name ?? name} size="m" />}
      <div className={css.column}>
        <header className={css.head}>
          <Author group={group} author={author} />
          <time className={css.time} dateTime={new Date(group.at).toISOString()} title={dates.full(group.at)}>
            {dates.time(group.at)}
          </time>
        </header>
        {group.messages.map((message) => (
          <MessageView key={message.key} message={message} group={group} conversation={conversation} name={name} />
        ))}
      </div>
      {!visitor && <Avatar id={group.from.id ?? ""} name={full} size="m" square />}
    </article>
  );
}

function Author({ group, author }: { group: Group; author: string }) {
  const { t } = useLocale();
  return (
    <span className={css.author}>
      {group.lane === "desk" && (
        <span className={css.noteMark}>
          <Icon name="note" size={13} />
          {t("note.mark")}
        </span>
      )}
      <bdi>{author}</bdi>
    </span>
  );
}

function MessageView({ message, group, conversation, name }: GroupProps & { message: Message }) {
  const { dates } = useLocale();
  return (
    <div className={css.message} data-anchor={message.key} data-state={message.state} title={dates.full(message.at)}>
      <div className={css.bubble}>
        <Text text={message.text} />
      </div>
      <StateLine message={message} group={group} conversation={conversation} name={name} />
    </div>
  );
}

function StateLine({ message, group, conversation, name }: GroupProps & { message: Message }) {
  const { t } = useLocale();
  if (message.state === "failed") return <Failed message={message} lane={group.lane} conversation={conversation} />;
  const mark = message.state === "stored" ? message.mark : message.state;
  if (mark === undefined) return null;
  return (
    <p className={css.state} data-mark={mark}>
      <Icon name={MARKS[mark]} size={13} />
      {t(`message.${mark}`, { name })}
    </p>
  );
}

/** A message that could not be sent keeps its text; it can be tried again, changed, or dropped. */
function Failed({ message, lane, conversation }: { message: Message; lane: Group["lane"]; conversation: string }) {
  const { t } = useLocale();
  const edit = (): void => {
    const mode = lane === "desk" ? "note" : "reply";
    agent.discard(message.key);
    setDraft(conversation, mode, message.text, agent.conversation(conversation).getSnapshot()?.thread.last ?? 0);
    setMode(conversation, mode);
    focusComposer();
  };
  return (
    <div className={css.failed} role="alert">
      <Icon name="alert" size={14} />
      <span>{t("message.failed", { reason: message.error?.message ?? "" })}</span>
      <Button small icon="retry" onPress={() => agent.retry(message.key)}>
        {t("retry")}
      </Button>
      <Button small look="quiet" onPress={edit}>
        {t("message.edit")}
      </Button>
      <Button small look="quiet" onPress={() => agent.discard(message.key)}>
        {t("message.discard")}
      </Button>
    </div>
  );
}

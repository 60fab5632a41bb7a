import type { Conversation } from "@deskbell/client";
import { memo, useState } from "react";
import { agent } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { Button } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import { GroupView } from "./GroupView.tsx";
import { type Item, newerThan } from "./items.ts";
import { Day, Line, NewMark, Pages } from "./Lines.tsx";
import { LiveDraft } from "./LiveDraft.tsx";
import css from "./Log.module.css";
import { useLogScroll } from "./useLogScroll.ts";
import { useRead } from "./useRead.ts";

interface LogProps {
  readonly conversation: Conversation;
  readonly items: readonly Item[];
  readonly name: string;
}

/** What was said and done, oldest first; both lanes on one line of time. */
export function Log({ conversation, items, name }: LogProps) {
  const t = useT();
  const older = conversation.thread.older || conversation.desk.older;
  const { loading, load } = useOlder(conversation.id);
  const { ref, atEnd, toEnd } = useLogScroll(items, conversation.typing, conversation.pending.length, () => older && void load());
  const missed = useMissed(conversation, atEnd);
  useRead(conversation, atEnd);
  return (
    <div className={css.frame}>
      <div ref={ref} className={css.log} role="log" aria-live="off" aria-label={t("thread", { name })} tabIndex={0}>
        <div className={css.inner}>
          {older ? <Older loading={loading} onLoad={() => void load()} /> : <p className={css.begin}>{t("thread.begin")}</p>}
          {items.map((item) => (
            <ItemView key={item.key} item={item} conversation={conversation.id} name={name} />
          ))}
          <LiveDraft conversation={conversation} name={name} />
        </div>
      </div>
      {!atEnd && (
        <Button small className={css.jump ?? ""} icon="arrowDown" onPress={toEnd}>
          {missed > 0 ? t("thread.missed", { n: missed }) : t("thread.jump")}
        </Button>
      )}
    </div>
  );
}

const ItemView = memo(function ItemView({ item, conversation, name }: { item: Item; conversation: string; name: string }) {
  switch (item.kind) {
    case "group":
      return <GroupView group={item} conversation={conversation} name={name} />;
    case "day":
      return <Day at={item.at} />;
    case "new":
      return <NewMark />;
    case "line":
      return <Line entry={item.entry} name={name} />;
    case "pages":
      return <Pages pages={item.pages} anchor={item.key} />;
  }
});

function Older({ loading, onLoad }: { loading: boolean; onLoad: () => void }) {
  const t = useT();
  return (
    <div className={css.older}>
      <Button small look="quiet" isDisabled={loading} onPress={onLoad}>
        {loading && <Icon name="hourglass" size={14} />}
        {t(loading ? "thread.loading" : "thread.older")}
      </Button>
    </div>
  );
}

function useOlder(id: string) {
  const [loading, setLoading] = useState(false);
  const load = async (): Promise<void> => {
    if (loading) return;
    setLoading(true);
    await agent.loadOlder(id).catch(() => undefined);
    setLoading(false);
  };
  return { loading, load };
}

/** How many messages of the visitor came since the end was last in sight. */
function useMissed({ thread }: Conversation, atEnd: boolean): number {
  const [left, setLeft] = useState(thread.last);
  if (atEnd && left !== thread.last) setLeft(thread.last);
  return atEnd ? 0 : newerThan(thread.entries, left);
}

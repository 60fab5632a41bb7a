import type { Conversation } from "@deskbell/client";
import { h } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Chat } from "../chat/chat.ts";
import { Icon } from "../view/icon.tsx";
import { dayName } from "./dates.ts";
import { ICONS } from "./icons.ts";
import { Message } from "./message.tsx";
import { rowsOf, type Row } from "./rows.ts";
import { anchorOf, isAtEnd, isNearStart, putBack } from "./scroll.ts";
import { Typing } from "./typing.tsx";

type Props = { chat: Chat; conversation: Conversation };

/** The log of one conversation. It stays at its end, or exactly where the visitor reads. */
export function Thread({ chat, conversation }: Props) {
  const { t } = chat.language;
  const log = useRef<HTMLDivElement>(null);
  const { id, unread, thread, typing } = conversation;
  const readUpTo = useMemo(() => (unread ? conversation.read.visitor : Infinity), []);
  const rows = useMemo(() => rowsOf(conversation, readUpTo), [conversation, readUpTo]);
  // The same elements as before are not looked at again, whatever else is drawn.
  const shown = useMemo(
    () => rows.map((row) => <ThreadRow key={row.key} chat={chat} conversation={conversation} row={row} />),
    [rows, chat.language],
  );
  const { atEnd, toEnd, onScroll } = useScroll(chat, conversation, log, rows);
  const [loading, setLoading] = useState(false);

  const loadOlder = async () => {
    if (loading || !thread.older) return;
    setLoading(true);
    // Without a connection there is nothing to load; the next scroll asks again.
    await chat.visitor.loadOlder(id).catch(() => false);
    setLoading(false);
  };
  return (
    <div class="stage">
      <div
        ref={log}
        class="log"
        role="log"
        aria-live="off"
        aria-label={t("log.label")}
        tabIndex={0}
        onScroll={() => {
          onScroll();
          if (isNearStart(log.current!)) void loadOlder();
        }}
      >
        {thread.older && (
          <button type="button" class="older" aria-busy={loading} onClick={loadOlder}>
            {t(loading ? "log.loading" : "log.older")}
          </button>
        )}
        {shown}
        <Typing chat={chat} typing={typing} />
      </div>
      {!atEnd && (
        <button type="button" class="jump" onClick={toEnd} aria-label={t(unread ? "log.jump" : "log.bottom", { n: unread })}>
          {unread > 0 && <span>{t("log.jump", { n: unread })}</span>}
          <Icon path={ICONS.down} />
        </button>
      )}
    </div>
  );
}

function ThreadRow({ chat, row, conversation }: Props & { row: Row }) {
  const { language } = chat;
  const { t } = language;
  switch (row.kind) {
    case "day":
      return (
        <h3 class="day" data-row={row.key}>
          {dayName(row.at, Date.now(), language)}
        </h3>
      );
    case "unread":
      return (
        <p class="fresh" data-row={row.key}>
          <span>{t("log.unread")}</span>
        </p>
      );
    case "event":
      return (
        <p class="event" data-row={row.key} data-event={row.event}>
          {t(`event.${row.event}`, { name: row.name || t("message.agent"), score: row.score ?? 0 })}
        </p>
      );
    case "message":
      return <Message chat={chat} row={row} error={conversation.pending.find(({ key }) => key === row.key)?.error} />;
  }
}

function see(chat: Chat, { id, unread }: Conversation): void {
  if (unread) chat.visitor.read(id);
}

// Keeps the log where it belongs over every change, and tells when the newest message was seen.
function useScroll(chat: Chat, conversation: Conversation, log: { current: HTMLDivElement | null }, rows: readonly Row[]) {
  const [atEnd, setAtEnd] = useState(true);
  const stays = useRef(true);
  // Measured while the old rows still stand: the row that is being read, and where it is.
  const anchor = log.current && !stays.current ? anchorOf(log.current) : undefined;

  const toEnd = () => log.current?.scrollTo({ top: log.current.scrollHeight, behavior: "instant" });
  const look = () => {
    stays.current = isAtEnd(log.current!);
    setAtEnd(stays.current);
    if (stays.current && !document.hidden && chat.open) see(chat, conversation);
  };
  const own = rows.findLast((row) => row.kind === "message" && row.own && row.delivery === "sending")?.key;
  useLayoutEffect(() => {
    if (own) stays.current = true;
  }, [own]);
  useLayoutEffect(() => {
    const fresh = log.current!.querySelector(".fresh");
    if (fresh) log.current!.scrollTop = (fresh as HTMLElement).offsetTop - 40;
    else toEnd();
    stays.current = isAtEnd(log.current!);
  }, []);
  useLayoutEffect(() => {
    if (stays.current) toEnd();
    else if (anchor) putBack(log.current!, anchor);
    look();
  }, [conversation]);
  useEffect(() => {
    const resized = new ResizeObserver(() => stays.current && toEnd());
    resized.observe(log.current!);
    document.addEventListener("visibilitychange", look);
    return () => {
      resized.disconnect();
      document.removeEventListener("visibilitychange", look);
    };
  }, [conversation]);
  return { atEnd, toEnd, onScroll: look };
}

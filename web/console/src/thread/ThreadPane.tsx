import type { Conversation } from "@deskbell/client";
import { useEffect, useMemo, useRef, useState } from "react";
import { laid, useOverlays } from "../actions/overlay.ts";
import { agent, me, useConversation, useHead, useReadable } from "../app/agent.ts";
import { matches, PHONE } from "../app/media.ts";
import { Composer } from "../composer/Composer.tsx";
import { useT } from "../i18n/locale.ts";
import { useAnnouncements } from "../notify/useAnnouncements.ts";
import { lastOpen } from "../inbox/shown.ts";
import type { ViewName } from "../inbox/view.ts";
import { Notice } from "../ui/Notice.tsx";
import { useVisitorName } from "../ui/useVisitorName.ts";
import { itemsOf } from "./items.ts";
import { Log } from "./Log.tsx";
import { ThreadHeader } from "./ThreadHeader.tsx";
import css from "./ThreadPane.module.css";
import { useThreadKeys } from "./useThreadKeys.ts";

/** One conversation: what was said and done, and the composer. */
export function ThreadPane({ id, view }: { id: string; view: ViewName }) {
  const conversation = useConversation(id);
  const head = useHead(id);
  useEffect(() => agent.watch(id), [id]);
  const main = useArrival(id);
  useAnnouncements(id);
  const name = useVisitorName(conversation?.visitor ?? head?.visitor);
  const overlay = useOverlays((store) => store.overlays[id]);
  const state = laid({ status: conversation?.status ?? head?.status ?? "open", assignee: assigneeOf(conversation, head?.assignee) }, overlay);
  useThreadKeys(id, view, state);
  return (
    <main ref={main} id="main" className={css.pane} aria-labelledby="thread-title" tabIndex={-1}>
      <ThreadHeader id={id} view={view} name={name} conversation={conversation} state={state} />
      {conversation === undefined ? <Missing id={id} /> : <Loaded conversation={conversation} name={name} closed={state.status === "closed"} />}
    </main>
  );
}

/** On a phone the conversation takes the place of the list, so the focus goes with it. */
function useArrival(id: string): React.RefObject<HTMLElement | null> {
  const main = useRef<HTMLElement>(null);
  useEffect(() => {
    lastOpen.set(id);
    if (matches(PHONE)) main.current?.focus({ preventScroll: true });
  }, [id]);
  return main;
}

function Loaded({ conversation, name, closed }: { conversation: Conversation; name: string; closed: boolean }) {
  const newAfter = useNewAfter(conversation);
  const { thread, desk, pending, read, delivered } = conversation;
  const items = useMemo(() => itemsOf({ thread, desk, pending, read, delivered }, me(), newAfter), [thread, desk, pending, read, delivered, newAfter]);
  return (
    <>
      <Log conversation={conversation} items={items} name={name} />
      <Composer conversation={conversation} name={name} closed={closed} />
    </>
  );
}

/** The read mark as it was when the conversation was opened, if anything was unread then. */
function useNewAfter(conversation: Conversation): number | null {
  const [after] = useState(() => (conversation.unread > 0 && conversation.read.agent > 0 ? conversation.read.agent : null));
  return after;
}

/** Who has it: the head says it first; before one has arrived, the conversation does. */
function assigneeOf(conversation: Conversation | undefined, head: string | null | undefined): string | null {
  return head === undefined ? (conversation?.assignee?.id ?? null) : head;
}

function Missing({ id }: { id: string }) {
  const t = useT();
  const refusal = useReadable(agent.refusal(id));
  if (refusal !== undefined) return <Notice icon="search" title={t("thread.missing")} hint={t("thread.missing.hint")} />;
  return (
    <div className={css.bones} role="status">
      <span className="visually-hidden">{t("loading")}</span>
      {["start", "start", "end", "start", "end"].map((side, index) => (
        <div key={index} className={css.bone} data-side={side} aria-hidden="true" />
      ))}
    </div>
  );
}

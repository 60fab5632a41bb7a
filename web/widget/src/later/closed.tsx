// The end of a conversation: asking whether to end it, the rating, and starting anew.
import type { Conversation } from "@deskbell/client";
import { h } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "../chat/chat.ts";
import { Icon } from "../view/icon.tsx";
import { ICONS } from "./icons.ts";

type Props = { chat: Chat; conversation: Conversation };
const SCORES = [1, 2, 3, 4, 5] as const;

/** One question before the conversation ends. */
export function ConfirmClose({ chat, conversation }: Props) {
  const { t } = chat.language;
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => keep.current!.focus(), []);
  const leave = () => {
    chat.asksToClose = false;
    chat.takeFocus();
  };
  return (
    <div
      class="card"
      role="group"
      aria-label={t("close.ask")}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        leave();
      }}
    >
      <h3>{t("close.ask")}</h3>
      <p class="choices">
        <button
          ref={keep}
          type="button"
          class="button quiet"
          onClick={leave}
        >
          {t("close.no")}
        </button>
        <button
          type="button"
          class="button"
          onClick={() => {
            chat.visitor.close(conversation.id);
            leave();
          }}
        >
          {t("close.yes")}
        </button>
      </p>
    </div>
  );
}

/** After the end: how it was, and what now. */
export function Closed({ chat, conversation }: Props) {
  const { t } = chat.language;
  const [done, setDone] = useState<"skipped" | "rated" | undefined>();
  const asks = !conversation.rating && !done && conversation.thread.entries.some(({ event, from }) => event === "message" && from.kind === "agent");
  return (
    <div class="card">
      {asks && <Rating chat={chat} conversation={conversation} done={setDone} />}
      {done === "rated" && <p role="status">{t("rate.thanks")}</p>}
      {!asks && (
        <button
          type="button"
          class="button wide"
          onClick={() => chat.choose(null)}
        >
          <Icon path={ICONS.plus} />
          {t("closed.new")}
        </button>
      )}
    </div>
  );
}

function Rating({ chat, conversation, done }: Props & { done: (how: "skipped" | "rated") => void }) {
  const { t } = chat.language;
  const [score, setScore] = useState(0);
  const [comment, setComment] = useState("");
  const [state, setState] = useState<"asking" | "sending" | "failed">("asking");

  const send = async (event: Event) => {
    event.preventDefault();
    setState("sending");
    const { ok } = await chat.visitor.rate(conversation.id, score, comment.trim() || undefined).settled;
    if (ok) done("rated");
    else setState("failed");
  };
  return (
    <form onSubmit={send}>
      <h3>{t("rate.title")}</h3>
      <fieldset class="stars">
        <legend class="unseen">{t("rate.label")}</legend>
        {SCORES.map((n) => (
          <label class={n <= score ? "star lit" : "star"} title={t(`rate.${n}`)}>
            <input
              type="radio"
              name="score"
              value={n}
              checked={n === score}
              aria-label={`${t("rate.score", { n })}, ${t(`rate.${n}`)}`}
              onChange={() => setScore(n)}
            />
            <Icon path={ICONS.star} />
          </label>
        ))}
      </fieldset>
      {score > 0 && (
        <textarea
          class="comment"
          rows={2}
          dir="auto"
          maxLength={1000}
          value={comment}
          aria-label={t("rate.comment")}
          placeholder={t("rate.comment")}
          onInput={(event) => setComment(event.currentTarget.value)}
        />
      )}
      {state === "failed" && <p class="wrong" role="alert">{t("error.failed")}</p>}
      <p class="choices">
        <button type="button" class="button quiet" onClick={() => done("skipped")}>
          {t("rate.skip")}
        </button>
        <button type="submit" class="button" disabled={!score || state === "sending"}>
          {t("rate.send")}
        </button>
      </p>
    </form>
  );
}

import { h } from "preact";
import { isSendKey, roomLeft, toMessage } from "../text/compose.ts";
import type { Around } from "./header.tsx";
import { Icon, SEND } from "./icon.tsx";

// From here on the visitor is told how much room is left.
const TELL_BELOW = 500;

/** Where the visitor writes. */
export function Composer({ chat, conversation }: Around) {
  const { t } = chat.language;
  const message = toMessage(chat.draft.text);
  const left = roomLeft(message);
  const settle = (area: HTMLTextAreaElement | null) => {
    if (!area) return;
    // As high as its text, up to what the style sheet allows.
    area.style.blockSize = "auto";
    area.style.blockSize = `${area.scrollHeight}px`;
    if (!chat.wantsFocus) return;
    chat.wantsFocus = false;
    area.focus({ preventScroll: true });
  };
  const submit = (event: Event) => {
    event.preventDefault();
    if (message && left >= 0 && chat.send(message)) {
      chat.write("");
      chat.takeFocus();
    }
  };
  return (
    <form class="composer" onSubmit={submit}>
      <div class="box">
        <textarea
          ref={settle}
          rows={1}
          dir={chat.draft.text ? "auto" : chat.language.dir}
          value={chat.draft.text}
          aria-label={t("composer.label")}
          aria-invalid={left < 0 || undefined}
          aria-describedby="composer-notes"
          placeholder={t(conversation?.status === "closed" ? "composer.reopen" : "composer.placeholder")}
          enterkeyhint="send"
          onInput={(event) => chat.write(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (isSendKey(event)) submit(event);
          }}
        />
        <button type="submit" class="send" aria-label={t("composer.send")} disabled={!message || left < 0}>
          <Icon path={SEND} />
        </button>
      </div>
      <p id="composer-notes" class="notes">
        {left < TELL_BELOW && (
          <span class={left < 0 ? "wrong" : undefined} data-testid="room">
            {t(left < 0 ? "composer.over" : "composer.left", { n: Math.abs(left) })}
          </span>
        )}
        {chat.peeks() && <span>{t("composer.peek")}</span>}
      </p>
    </form>
  );
}

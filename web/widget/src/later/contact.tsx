import { h } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Chat } from "../chat/chat.ts";

/** Where to answer someone who may be gone by then: an e-mail address that goes along with the first message. */
export function Contact({ chat }: { chat: Chat }) {
  const { t } = chat.language;
  const field = useRef<HTMLInputElement>(null);
  const [wrong, setWrong] = useState(false);
  useEffect(() => {
    chat.fields = () => {
      const input = field.current!;
      const email = input.value.trim();
      if (email && !input.checkValidity()) {
        setWrong(true);
        input.focus();
        return undefined;
      }
      return (email ? { email } : {}) as Record<string, string>;
    };
    return () => {
      chat.fields = () => ({});
    };
  }, []);
  return (
    <label class="contact">
      <b>{t("email.label")}</b>
      <input
        ref={field}
        type="email"
        autocomplete="email"
        dir="ltr"
        aria-invalid={wrong || undefined}
        aria-describedby="contact-hint"
        onInput={() => setWrong(false)}
      />
      <small id="contact-hint" class={wrong ? "wrong" : undefined}>
        {t(wrong ? "email.invalid" : "email.hint")}
      </small>
    </label>
  );
}

import { useEffect } from "react";
import { TextArea, TextField } from "react-aria-components";
import { useT } from "../i18n/locale.ts";
import css from "./Composer.module.css";
import type { Mode } from "./drafts.ts";

interface FieldProps {
  readonly mode: Mode;
  readonly name: string;
  readonly closed: boolean;
  readonly text: string;
  readonly onChange: (text: string) => void;
  readonly onSend: () => void;
  readonly onLeave: () => void;
}

/** The text field. Enter sends, Shift+Enter begins a line; an Enter that ends a composition (IME) does neither. */
export function Field({ mode, name, closed, text, onChange, onSend, onLeave }: FieldProps) {
  const t = useT();
  useEffect(() => onLeave, []);
  const onKeyDown = (event: React.KeyboardEvent<HTMLTextAreaElement>): void => {
    if (event.key === "Escape") {
      event.preventDefault();
      event.currentTarget.blur();
      document.querySelector<HTMLElement>("[role=log]")?.focus({ preventScroll: true });
      return;
    }
    // Safari ends a composition before the key event; the old key code still tells.
    if (event.key !== "Enter" || event.shiftKey || event.altKey || event.nativeEvent.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    onSend();
  };
  const hint = mode === "note" ? t("composer.note.place") : closed ? t("composer.closed", { name }) : t("composer.place", { name });
  return (
    <TextField className={css.field} aria-label={t(mode === "note" ? "composer.note" : "composer.reply")} value={text} onChange={onChange} onBlur={onLeave}>
      <TextArea className={css.input} dir={text === "" ? undefined : "auto"} rows={2} placeholder={hint} aria-describedby="composer-hint" onKeyDown={onKeyDown} />
    </TextField>
  );
}

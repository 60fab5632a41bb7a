import { useEffect, useState } from "react";
import { useT } from "../i18n/locale.ts";
import { Button, IconButton } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import { dismiss, type Toast, useToasts } from "./toasts.ts";
import css from "./Toasts.module.css";

/** A done message goes after this, unless the pointer or focus rests on it. */
const SHOWN_MS = 7_000;

/** What was just done or failed, below the top bar, where it hides neither the newest messages nor the composer. */
export function Toasts() {
  const t = useT();
  const toasts = useToasts((store) => store.toasts);
  return (
    <section className={css.toasts} aria-label={t("messages")}>
      <div role="status" className={css.list}>
        {toasts.filter(({ kind }) => kind === "done").map((one) => <ToastCard key={one.id} one={one} />)}
      </div>
      <div role="alert" className={css.list}>
        {toasts.filter(({ kind }) => kind === "failed").map((one) => <ToastCard key={one.id} one={one} />)}
      </div>
    </section>
  );
}

function ToastCard({ one }: { one: Toast }) {
  const t = useT();
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (one.kind === "failed" || held) return;
    const timer = setTimeout(() => dismiss(one.id), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [one, held]);
  const act = (): void => {
    dismiss(one.id);
    one.action?.run();
  };
  return (
    <div
      className={css.toast}
      data-kind={one.kind}
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <Icon name={one.kind === "failed" ? "alert" : "check"} />
      <span className={css.text}>{one.text}</span>
      {one.action !== undefined && (
        <Button small look="quiet" className={css.action ?? ""} onPress={act}>
          {one.action.label}
        </Button>
      )}
      <IconButton icon="close" label={t("dismiss")} placement="top" className={css.close ?? ""} onPress={() => dismiss(one.id)} />
    </div>
  );
}

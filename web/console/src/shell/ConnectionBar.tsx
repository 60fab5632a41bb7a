import type { Status } from "@deskbell/client";
import { useEffect, useState } from "react";
import { agent, useReadable } from "../app/agent.ts";
import { useLocale } from "../i18n/locale.ts";
import { useNow1s } from "../session/countdown.ts";
import { Button } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import css from "./ConnectionBar.module.css";

/** Shorter interruptions than this heal by themselves before anyone has read a message about them. */
const QUIET_MS = 2_000;
/** How long it is said that the connection is back. */
const BACK_MS = 2_000;

type Phase = "fine" | "offline" | "back";

/** Says that the connection is lost, what happens with what one writes, and that it is back. */
export function ConnectionBar() {
  const status = useReadable(agent.status);
  const phase = usePhase(status);
  return (
    <div role="status" aria-live="polite">
      {phase === "offline" && <Offline status={status} />}
      {phase === "back" && <Back />}
    </div>
  );
}

function usePhase(status: Status): Phase {
  const [phase, setPhase] = useState<Phase>("fine");
  const online = status.state === "online";
  useEffect(() => {
    if (!online) {
      const timer = setTimeout(() => setPhase("offline"), QUIET_MS);
      return () => clearTimeout(timer);
    }
    setPhase((before) => (before === "offline" ? "back" : before));
    const timer = setTimeout(() => setPhase("fine"), BACK_MS);
    return () => clearTimeout(timer);
  }, [online]);
  return phase;
}

function Offline({ status }: { status: Status }) {
  const { t, dates } = useLocale();
  const now = useNow1s(status.retryAt !== undefined);
  const left = status.retryAt === undefined ? 0 : status.retryAt - now;
  return (
    <div className={css.bar}>
      <Icon name="wifiOff" />
      <span className={css.text}>
        <strong>{t("offline")}</strong> {t("offline.hint")}
      </span>
      <span className={css.next} aria-hidden="true">
        {left >= 1_000 ? t("offline.next", { time: dates.span(left) }) : t("offline.trying")}
      </span>
      <Button small className={css.try ?? ""} onPress={() => agent.wake()}>
        {t("offline.try")}
      </Button>
    </div>
  );
}

function Back() {
  const { t } = useLocale();
  return (
    <div className={`${css.bar} ${css.back}`}>
      <Icon name="check" />
      <span className={css.text}>{t("offline.back")}</span>
    </div>
  );
}

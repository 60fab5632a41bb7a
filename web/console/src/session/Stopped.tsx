import { useEffect } from "react";
import { agent } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import type { Key } from "../i18n/translate.ts";
import { Button } from "../ui/Button.tsx";
import { Notice } from "../ui/Notice.tsx";

const TEXTS: Readonly<Record<string, Key>> = {
  banned: "stopped.banned",
  too_many_sessions: "stopped.sessions",
  version_too_old: "stopped.version",
};

/** When this tab was last reloaded because it was too old. */
const RELOADED = "deskbell.reloaded";
/** A page that is still too old after a reload came from a cache: then it is left to the person. */
const AGAIN_MS = 10 * 60_000;

function reloadOnce(): void {
  try {
    if (Date.now() - Number(sessionStorage.getItem(RELOADED)) < AGAIN_MS) return;
    sessionStorage.setItem(RELOADED, String(Date.now()));
    location.reload();
  } catch {
    // No storage, no memory of a reload: it might go on for ever.
  }
}

/** The connection ended for a reason that does not pass by itself. */
export function Stopped({ reason }: { reason: string }) {
  const t = useT();
  useEffect(() => {
    if (reason === "version_too_old") reloadOnce();
  }, [reason]);
  const again = (): void => {
    if (reason === "too_many_sessions") agent.start();
    else location.reload();
  };
  return (
    <main>
      <Notice icon="alert" title={t("stopped")} hint={t(TEXTS[reason] ?? "stopped.other", { reason })} heading="h1">
        <Button look="solid" icon="retry" onPress={again}>
          {t("stopped.again")}
        </Button>
      </Notice>
    </main>
  );
}

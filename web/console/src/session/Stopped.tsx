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

/** The connection ended for a reason that does not pass by itself. */
export function Stopped({ reason }: { reason: string }) {
  const t = useT();
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

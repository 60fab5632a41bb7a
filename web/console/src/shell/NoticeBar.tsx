import type { Notice } from "@deskbell/client";
import { useEffect, useState } from "react";
import { agent, useReadable } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { IconButton } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import css from "./ConnectionBar.module.css";

/** A piece of information goes by itself after this; a warning stays until the server or the person takes it back. */
const SHOWN_MS = 10_000;

/** What the server wants every agent to know, e.g. that nothing can be stored right now. */
export function NoticeBar() {
  const t = useT();
  const notice = useReadable(agent.notice);
  const [gone, setGone] = useState<Notice | null>(null);
  useEffect(() => {
    if (notice === null || notice.level === "warning") return;
    const timer = setTimeout(() => setGone(notice), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  return (
    <div role="status">
      {notice !== null && notice !== gone && (
        <div className={notice.level === "warning" ? css.bar : `${css.bar} ${css.back}`}>
          <Icon name={notice.level === "warning" ? "alert" : "check"} />
          <span className={css.text} dir="auto">
            {notice.text}
          </span>
          <IconButton icon="close" label={t("dismiss")} onPress={() => setGone(notice)} />
        </div>
      )}
    </div>
  );
}

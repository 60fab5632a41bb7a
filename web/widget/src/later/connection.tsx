import { h } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Chat } from "../chat/chat.ts";

// Breaks shorter than this heal unnoticed.
const PATIENCE_MS = 2000;

/** What is said about the connection: nothing for a short break, plain words after that; and the server's own notice. */
export function ConnectionBar({ chat }: { chat: Chat }) {
  const { t } = chat.language;
  const { state, reason } = chat.visitor.status.getSnapshot();
  const notice = chat.visitor.notice.getSnapshot();
  // Before the server has ever answered there is no connection that could be lost.
  const known = chat.visitor.profile.getSnapshot() !== null;
  const late = useLate(state === "waiting" || state === "connecting");
  useEffect(() => {
    if (reason === "forbidden" || reason === "unknown_project")
      console.warn(`Deskbell: ${reason}. Check data-project, and that ${location.origin} is among the project's origins.`);
  }, [reason]);
  if (state === "stopped")
    return (
      <p class="bar" role="alert">
        {t(reason === "version_too_old" ? "error.reload" : "error.unavailable")}{" "}
        {/* Who was shut out is told no more than that, and has nothing to try. */}
        {reason !== "banned" && (
          <button type="button" class="inline" onClick={() => (reason === "version_too_old" ? location.reload() : again(chat))}>
            {t("error.retry")}
          </button>
        )}
      </p>
    );
  if (late)
    return (
      <p class="bar" role="status" data-testid="offline">
        {t(!navigator.onLine ? "offline.bar" : known ? "offline.retrying" : "offline.connecting")}
      </p>
    );
  return notice ? (
    <p class="bar" role="status" data-level={notice.level} dir="auto">
      {notice.text}
    </p>
  ) : null;
}

function again({ visitor }: Chat): void {
  visitor.stop();
  visitor.start();
}

function useLate(away: boolean): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    if (!away) return;
    const timer = setTimeout(() => setLate(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [away]);
  return late && away;
}

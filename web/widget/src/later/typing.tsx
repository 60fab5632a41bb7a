import type { Typing as State } from "@deskbell/client";
import { h } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Chat } from "../chat/chat.ts";

// Dots that never end lie: without a new sign they stop.
const LONGEST_MS = 6000;

/** The dots while an agent writes. */
export function Typing({ chat, typing }: { chat: Chat; typing: readonly State[] }) {
  const { t } = chat.language;
  const [, turn] = useState(0);
  const now = Date.now();
  const agents = typing.filter(({ by, until }) => by.kind === "agent" && until > now);
  const soonest = Math.min(...agents.map(({ until }) => until));
  useEffect(() => {
    if (!Number.isFinite(soonest)) return;
    const timer = setTimeout(() => turn(Date.now()), Math.min(soonest - Date.now(), LONGEST_MS) + 20);
    return () => clearTimeout(timer);
  }, [soonest]);
  if (!agents.length) return null;
  const name = agents.length === 1 && agents[0]!.by.name;
  return (
    <div class="message theirs last" data-testid="typing">
      <div class="bubble dots">
        <span class="unseen">{name ? t("typing.one", { name }) : t("typing.some")}</span>
        <i />
        <i />
        <i />
      </div>
    </div>
  );
}

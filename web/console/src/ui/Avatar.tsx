import type { AgentStatus } from "@deskbell/client";
import { useT } from "../i18n/locale.ts";
import css from "./Avatar.module.css";
import { hueOf, initials } from "./names.ts";

interface AvatarProps {
  readonly id: string;
  readonly name: string | undefined;
  readonly size?: "s" | "m" | "l" | "xl";
  readonly square?: boolean;
  readonly status?: AgentStatus | undefined;
}

/** Initials on a colour of their own; decoration beside a name, so hidden from screen readers. */
export function Avatar({ id, name, size = "m", square = false, status }: AvatarProps) {
  return (
    <span className={`${css.avatar} ${css[size]} ${square ? css.square : ""}`} data-hue={hueOf(id)} aria-hidden="true">
      {initials(name) || <Someone />}
      {status !== undefined && <span className={css.badge} data-status={status} />}
    </span>
  );
}

/** Presence as a shape and a word: a disc is online, a half disc away, a ring offline. */
export function Presence({ status, words = false }: { status: AgentStatus; words?: boolean }) {
  const t = useT();
  const label = t(`presence.${status}`);
  return (
    <span className={css.presence}>
      <span className={css.dot} data-status={status} aria-hidden="true" />
      <span className={words ? undefined : "visually-hidden"}>{label}</span>
    </span>
  );
}

function Someone() {
  return (
    <svg className={css.someone} viewBox="0 0 16 16" aria-hidden="true">
      <path d="M8 8.2a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6Zm-5.2 5.6c0-2.5 2.3-4.2 5.2-4.2s5.2 1.7 5.2 4.2Z" />
    </svg>
  );
}

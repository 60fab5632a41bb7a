import { Icon } from "./Icon.tsx";
import type { IconName } from "./icons.ts";
import css from "./Notice.module.css";

interface NoticeProps {
  readonly icon: IconName;
  readonly title: string;
  readonly hint?: string | undefined;
  readonly heading?: "h1" | "h2" | "h3";
  readonly children?: React.ReactNode;
}

/** What stands where nothing else does: what is the case, and what to do next. */
export function Notice({ icon, title, hint, heading: Heading = "h2", children }: NoticeProps) {
  return (
    <div className={css.notice}>
      <span className={css.icon}>
        <Icon name={icon} size={22} />
      </span>
      <Heading className={css.title}>{title}</Heading>
      {hint !== undefined && <p className={css.hint}>{hint}</p>}
      {children !== undefined && <div className={css.next}>{children}</div>}
    </div>
  );
}

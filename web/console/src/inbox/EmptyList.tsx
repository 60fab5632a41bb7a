import type { InboxList, InboxView } from "@deskbell/client/agent";
import { Link, useNavigate } from "@tanstack/react-router";
import { agent, useProfile, useReadable } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { Button } from "../ui/Button.tsx";
import buttons from "../ui/Button.module.css";
import { Notice } from "../ui/Notice.tsx";
import css from "./ListPane.module.css";
import { agentOf, VIEW_LOOKS, type ViewName } from "./view.ts";

interface EmptyListProps {
  readonly view: ViewName;
  readonly q: string | undefined;
  readonly list: InboxView;
  readonly shown: InboxList;
}

/** What stands in a list without rows: still loading, failed, nothing found, or nothing to do. */
export function EmptyList({ view, q, list, shown }: EmptyListProps) {
  const t = useT();
  if (shown.state === "loading") return <Bones />;
  if (shown.state === "failed") {
    return (
      <div className={css.empty}>
        <Notice icon="alert" title={t("list.failed")} hint={shown.error?.message}>
          <Button icon="retry" onPress={() => void list.refresh().catch(() => undefined)}>
            {t("retry")}
          </Button>
        </Notice>
      </div>
    );
  }
  return <div className={css.empty}>{q === undefined ? <NothingHere view={view} /> : <NothingFound q={q} />}</div>;
}

function Bones() {
  const t = useT();
  return (
    <div className={css.loading} role="status">
      <span className="visually-hidden">{t("loading")}</span>
      {Array.from({ length: 7 }, (_, index) => (
        <div key={index} className={css.bone} aria-hidden="true">
          <span />
        </div>
      ))}
    </div>
  );
}

function NothingFound({ q }: { q: string }) {
  const t = useT();
  const navigate = useNavigate();
  return (
    <Notice icon="search" title={t("search.none", { q })} hint={t("search.none.hint")}>
      <Button onPress={() => void navigate({ to: ".", search: (old) => ({ ...old, q: undefined }), replace: true })}>{t("search.clear")}</Button>
    </Notice>
  );
}

function NothingHere({ view }: { view: ViewName }) {
  const t = useT();
  const counts = useReadable(agent.counts);
  const mayTest = ["owner", "admin"].includes(useProfile().agent.role);
  const next = view === "mine" && counts.unassigned > 0 ? "unassigned" : null;
  const look = agentOf(view) === null ? VIEW_LOOKS[view as keyof typeof VIEW_LOOKS] : undefined;
  return (
    <Notice icon={look?.icon ?? "user"} title={t(look?.empty ?? "empty.agent")} hint={t(look?.hint ?? "empty.agent.hint")}>
      {next !== null && (
        <Link to="/c/inbox/$view" params={{ view: next }} className={`${buttons.button} ${buttons.plain}`}>
          {t("empty.next", { n: counts.unassigned })}
        </Link>
      )}
      {counts.open === 0 && mayTest && (
        <Link to="/c/setup" className={`${buttons.button} ${buttons.plain}`}>
          {t("empty.setup")}
        </Link>
      )}
    </Notice>
  );
}

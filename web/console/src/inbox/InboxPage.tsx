import { getRouteApi, useParams } from "@tanstack/react-router";
import { lazy, Suspense, useEffect } from "react";
import { useProfile, useReadable } from "../app/agent.ts";
import { NARROW, PHONE, useMedia } from "../app/media.ts";
import { useT } from "../i18n/locale.ts";
import { showing } from "../notify/tabs.ts";
import { useSettings } from "../settings/settings.ts";
import { ThreadPane } from "../thread/ThreadPane.tsx";
import { Notice } from "../ui/Notice.tsx";
import { VisitorPanel } from "../visitor/VisitorPanel.tsx";
import css from "./InboxPage.module.css";
import { ListPane } from "./ListPane.tsx";
import { keptList } from "./lists.ts";
import { viewOf } from "./view.ts";

const SetupGuide = lazy(async () => ({ default: (await import("../setup/SetupGuide.tsx")).SetupGuide }));

const route = getRouteApi("/c/inbox/$view");

/** True in a project that never had a conversation, for those who can do something about it. */
function useFirstRun(): boolean {
  const { role } = useProfile().agent;
  const open = useReadable(keptList("all").snapshot);
  const closed = useReadable(keptList("closed").snapshot);
  return (role === "owner" || role === "admin") && [open, closed].every(({ ids, state }) => state === "ready" && ids.length === 0);
}

/** Where agents work: the list, the conversation, and who it is with. On a phone one of them at a time. */
export function InboxPage() {
  const view = viewOf(route.useParams().view);
  const { conversation } = useParams({ strict: false });
  const { details: detailsPage } = route.useSearch();
  const phone = useMedia(PHONE);
  const narrow = useMedia(NARROW);
  const beside = useSettings((settings) => settings.details);
  useEffect(() => {
    showing(conversation ?? null);
    return () => showing(null);
  }, [conversation]);
  const details = conversation !== undefined && (phone || narrow ? detailsPage === true : beside);
  return (
    <div className={css.page} data-details={details && !phone && !narrow ? "" : undefined}>
      {(!phone || conversation === undefined) && <ListPane key={view} view={view} open={conversation} />}
      {conversation === undefined ? (
        !phone && <NothingOpen />
      ) : (
        <>
          {(!phone || !details) && <ThreadPane key={conversation} id={conversation} view={view} />}
          {details && <VisitorPanel key={`visitor ${conversation}`} id={conversation} over={!phone && narrow} />}
        </>
      )}
    </div>
  );
}

function NothingOpen() {
  const t = useT();
  const first = useFirstRun();
  if (first) {
    return (
      <main id="main" className={css.first} tabIndex={-1}>
        <Suspense fallback={null}>
          <SetupGuide />
        </Suspense>
      </main>
    );
  }
  return (
    <main id="main" className={css.nothing} tabIndex={-1}>
      <Notice icon="inbox" title={t("nothing")} hint={t("nothing.hint")} />
    </main>
  );
}

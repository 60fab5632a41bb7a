import { getRouteApi, useParams } from "@tanstack/react-router";
import { useEffect } from "react";
import { NARROW, PHONE, useMedia } from "../app/media.ts";
import { useT } from "../i18n/locale.ts";
import { showing } from "../notify/tabs.ts";
import { useSettings } from "../settings/settings.ts";
import { ThreadPane } from "../thread/ThreadPane.tsx";
import { Notice } from "../ui/Notice.tsx";
import { VisitorPanel } from "../visitor/VisitorPanel.tsx";
import css from "./InboxPage.module.css";
import { ListPane } from "./ListPane.tsx";
import { viewOf } from "./view.ts";

const route = getRouteApi("/c/inbox/$view");

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
  return (
    <main id="main" className={css.nothing} tabIndex={-1}>
      <Notice icon="inbox" title={t("nothing")} hint={t("nothing.hint")} />
    </main>
  );
}

import { Outlet, useNavigate, useRouter } from "@tanstack/react-router";
import { RouterProvider as AriaRouter } from "react-aria-components";
import { useT } from "../i18n/locale.ts";
import { useShortcuts } from "../keys/useShortcuts.ts";
import { Announcer } from "../notify/Announcer.tsx";
import { SoundPrompt } from "../notify/SoundPrompt.tsx";
import { useTitle } from "../notify/useTitle.ts";
import { useNotices } from "../notify/useNotices.ts";
import { ConnectionBar } from "./ConnectionBar.tsx";
import { Dialogs } from "./Dialogs.tsx";
import { NoticeBar } from "./NoticeBar.tsx";
import css from "./Shell.module.css";
import { Toasts } from "./Toasts.tsx";
import { openDialog } from "./ui.ts";
import { Views } from "./Views.tsx";

/** The frame around every page of someone who is signed in. */
export function Shell() {
  const t = useT();
  const router = useRouter();
  useGlobalKeys();
  useTitle();
  useNotices();
  return (
    <AriaRouter navigate={(to) => router.history.push(to)}>
      <div className={css.shell}>
        <a className={css.skip} href="#main">
          {t("skip")}
        </a>
        <div className={css.bars}>
          <ConnectionBar />
          <NoticeBar />
          <SoundPrompt />
        </div>
        <Views />
        <Outlet />
        <Toasts />
        <Announcer />
        <Dialogs />
      </div>
    </AriaRouter>
  );
}

function useGlobalKeys(): void {
  const navigate = useNavigate();
  const go = (view: string) => () => void navigate({ to: "/c/inbox/$view", params: { view }, search: {} });
  useShortcuts({
    goInbox: go("mine"),
    goUnassigned: go("unassigned"),
    goAll: go("all"),
    palette: () => openDialog("palette"),
    help: () => openDialog("help"),
  });
}

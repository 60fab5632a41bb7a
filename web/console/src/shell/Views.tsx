import type { Counts } from "@deskbell/client";
import { Link, useParams } from "@tanstack/react-router";
import { TooltipTrigger, Focusable } from "react-aria-components";
import { agent, useProfile, useReadable } from "../app/agent.ts";
import { PHONE, useMedia } from "../app/media.ts";
import { useLocale, useT } from "../i18n/locale.ts";
import { VIEW_LOOKS, VIEWS } from "../inbox/view.ts";
import type { Command } from "../keys/keymap.ts";
import { Bell } from "../ui/Bell.tsx";
import { Tip, TIP_PLACE } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import { AccountMenu } from "./AccountMenu.tsx";
import { Availability } from "./Availability.tsx";
import { Colleagues } from "./Colleagues.tsx";
import css from "./Views.module.css";

const COMMANDS: Readonly<Partial<Record<string, Command>>> = { mine: "goInbox", unassigned: "goUnassigned", all: "goAll" };

/** The pane of lists: whose conversations to look at, who else is here, and oneself. A bar at the bottom on phones. */
export function Views() {
  const t = useT();
  const { project } = useProfile();
  const phone = useMedia(PHONE);
  const { conversation } = useParams({ strict: false });
  if (phone && conversation !== undefined) return null;
  return (
    <nav className={css.views} aria-label={t("views")}>
      {!phone && (
        <div className={css.brand}>
          <Bell size={26} />
          <span className={css.project} title={project.name}>
            {project.name}
          </span>
        </div>
      )}
      {!phone && <Availability />}
      <ViewList />
      {!phone && <Colleagues />}
      <AccountMenu bar={phone} />
      <div id={TIP_PLACE} className={css.tips} />
    </nav>
  );
}

function ViewList() {
  const t = useT();
  const counts = useReadable(agent.counts);
  return (
    <ul className={css.list}>
      {VIEWS.map((view) => (
        <li key={view}>
          <ViewLink view={view} label={t(VIEW_LOOKS[view].label)} count={countOf(view, counts)} />
        </li>
      ))}
    </ul>
  );
}

function ViewLink({ view, label, count }: { view: (typeof VIEWS)[number]; label: string; count: number | undefined }) {
  const { t, tag } = useLocale();
  const params = useParams({ strict: false });
  const urgent = view === "unassigned" && count !== undefined && count > 0;
  return (
    <TooltipTrigger delay={700}>
      <Focusable>
        <Link
          to="/c/inbox/$view"
          params={{ view }}
          className={css.link}
          aria-current={params.view === view ? "page" : undefined}
        >
          <Icon name={VIEW_LOOKS[view].icon} />
          <span className={css.label}>{label}</span>
          {count !== undefined && count > 0 && (
            <span title={t("view.count", { n: count })} className={urgent ? `${css.count} ${css.urgent}` : css.count}>{new Intl.NumberFormat(tag).format(count)}</span>
          )}
        </Link>
      </Focusable>
      <Tip label={label} command={COMMANDS[view]} placement="end" />
    </TooltipTrigger>
  );
}

function countOf(view: (typeof VIEWS)[number], counts: Counts): number | undefined {
  if (view === "closed") return undefined;
  return view === "all" ? counts.open : counts[view];
}

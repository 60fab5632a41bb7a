import type { AgentProfile } from "@deskbell/client";
import { useQuery } from "@tanstack/react-query";
import { useT } from "../i18n/locale.ts";
import { Icon } from "../ui/Icon.tsx";
import { doubts } from "./snippet.ts";
import css from "./SetupPage.module.css";

/** Whether what the snippet needs is there: the widget is served, and the origin list fits. */
export function Checks({ profile }: { profile: AgentProfile }) {
  const t = useT();
  const loader = useQuery({
    queryKey: ["loader"],
    queryFn: async () => (await fetch("/w/loader.js", { method: "HEAD" })).ok,
  });
  const found = doubts(profile, location.href);
  const { origins } = profile.project;
  return (
    <ul className={css.checks} aria-label={t("setup.checks")}>
      {loader.isPending ? null : <Check ok={loader.data === true} text={t(loader.data === true ? "check.loader" : "check.loader.missing")} />}
      {!found.includes("no-origins") && <Check ok text={t("check.origins", { n: origins.length, list: origins.join(", ") })} />}
      {found.map((doubt) => (
        <Check key={doubt} ok={false} text={t(`check.${doubt}`, { url: profile.public_url })} />
      ))}
    </ul>
  );
}

function Check({ ok, text }: { ok: boolean; text: string }) {
  const t = useT();
  return (
    <li className={css.check} data-ok={ok}>
      <Icon name={ok ? "done" : "alert"} />
      <span>
        <span className="visually-hidden">{t(ok ? "check.ok" : "check.look")} </span>
        {text}
      </span>
    </li>
  );
}

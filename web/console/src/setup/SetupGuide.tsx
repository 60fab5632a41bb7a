import type { AgentProfile } from "@deskbell/client";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useProfile } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { toast } from "../shell/toasts.ts";
import { Button } from "../ui/Button.tsx";
import buttons from "../ui/Button.module.css";
import { Icon } from "../ui/Icon.tsx";
import { Checks } from "./Checks.tsx";
import { chatUrl, snippet } from "./snippet.ts";
import css from "./SetupPage.module.css";
import { sendTest } from "./test.ts";

/** What to do first: put the widget on the site, try it, and what comes then. */
export function SetupGuide() {
  const t = useT();
  const profile = useProfile();
  const mayTest = profile.agent.role === "owner" || profile.agent.role === "admin";
  return (
    <div className={css.guide}>
      <header className={css.intro}>
        <h1 className={css.title}>{t("setup.title", { project: profile.project.name })}</h1>
        <p className={css.lead}>{t("setup.lead")}</p>
      </header>
      <ol className={css.steps}>
        <Step number={1} title={t("setup.embed")} lead={t("setup.embed.hint")}>
          <Snippet code={snippet(profile)} />
          <Checks profile={profile} />
        </Step>
        <Step number={2} title={t("setup.page")} lead={t("setup.page.hint")}>
          <HostedPage url={chatUrl(profile)} />
        </Step>
        {mayTest && (
          <Step number={3} title={t("setup.test")} lead={t("setup.test.hint")}>
            <TestMessage profile={profile} />
          </Step>
        )}
        <Step number={mayTest ? 4 : 3} title={t("setup.next")} lead={t("setup.next.hint")}>
          <ul className={css.next}>
            {(["agents", "identity", "keys"] as const).map((topic) => (
              <li key={topic}>{t(`setup.next.${topic}`)}</li>
            ))}
          </ul>
        </Step>
      </ol>
    </div>
  );
}

function Step({ number, title, lead, children }: { number: number; title: string; lead: string; children: React.ReactNode }) {
  return (
    <li className={css.step}>
      <span className={css.number} aria-hidden="true">
        {number}
      </span>
      <div className={css.content}>
        <h2 className={css.stepTitle}>{title}</h2>
        <p className={css.stepLead}>{lead}</p>
        {children}
      </div>
    </li>
  );
}

function Snippet({ code }: { code: string }) {
  const t = useT();
  return (
    <div className={css.snippet}>
      <pre dir="ltr" tabIndex={0} aria-label={t("setup.snippet")}>
        <code>{code}</code>
      </pre>
      <Copy text={code} label={t("copy")} />
    </div>
  );
}

function Copy({ text, label }: { text: string; label: string }) {
  const t = useT();
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 2_000);
    } catch {
      toast("failed", t("copy.failed"));
    }
  };
  return (
    <Button small icon={copied ? "check" : "copy"} onPress={() => void copy()}>
      <span aria-live="polite">{copied ? t("copied") : label}</span>
    </Button>
  );
}

function HostedPage({ url }: { url: string }) {
  const t = useT();
  return (
    <div className={css.row}>
      <a className={`${buttons.button} ${buttons.plain}`} href={url} target="_blank" rel="noopener">
        <Icon name="external" mirrored />
        {t("setup.page.open")}
      </a>
      <Copy text={url} label={t("copy.link")} />
      <code className={css.url} dir="ltr">
        {url}
      </code>
    </div>
  );
}

function TestMessage({ profile }: { profile: AgentProfile }) {
  const t = useT();
  const navigate = useNavigate();
  const [busy, setBusy] = useState(false);
  const send = async (): Promise<void> => {
    if (busy) return;
    setBusy(true);
    try {
      const conversation = await sendTest(profile.project.public_key, t("setup.test.text"), t("setup.test.name"));
      await navigate({ to: "/c/inbox/$view/$conversation", params: { view: "all", conversation } });
    } catch (error) {
      setBusy(false);
      toast("failed", t("setup.test.failed", { reason: error instanceof Error ? error.message : "" }));
    }
  };
  return (
    <Button look="solid" icon="send" mirrored onPress={() => void send()}>
      {t(busy ? "setup.test.busy" : "setup.test.send")}
    </Button>
  );
}

import { DeskbellError } from "@deskbell/client";
import { useEffect, useRef, useState } from "react";
import { Button as AriaButton, FieldError, Form, Input, Label, TextField } from "react-aria-components";
import { useNow1s } from "./countdown.ts";
import { useLocale } from "../i18n/locale.ts";
import { Bell } from "../ui/Bell.tsx";
import { Button } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import { signIn, useSession } from "./session.ts";
import css from "./SignIn.module.css";

interface Problem {
  readonly kind: "wrong" | "limited" | "offline" | "other";
  readonly until?: number;
  readonly message?: string;
}

/** The page where an agent signs in. */
export function SignIn() {
  const { t } = useLocale();
  const expired = useSession((session) => session.was);
  useEffect(() => {
    document.title = `${t("signIn")} · Deskbell`;
  }, [t]);
  return (
    <main className={css.page}>
      <div className={css.card}>
        <Bell size={44} />
        <h1 className={css.title}>
          {t("signIn.title")}
        </h1>
        <p className={css.lead} role={expired ? "status" : undefined}>
          {expired ? t("signIn.expired") : t("signIn.lead")}
        </p>
        <SignInForm />
      </div>
    </main>
  );
}

function SignInForm() {
  const { t } = useLocale();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const password = useRef<HTMLInputElement>(null);
  const submit = async (event: React.FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    const data = new FormData(event.currentTarget);
    setBusy(true);
    setProblem(null);
    try {
      await signIn(String(data.get("email")).trim(), String(data.get("password")));
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
      password.current?.select();
      password.current?.focus();
    }
  };
  return (
    <Form className={css.form} onSubmit={(event) => void submit(event)}>
      <TextField className={css.field} name="email" type="email" isRequired autoComplete="username" autoFocus>
        <Label>{t("signIn.email")}</Label>
        <Input className={css.input} inputMode="email" spellCheck={false} autoCapitalize="none" />
        <FieldError className={css.error} />
      </TextField>
      <PasswordField inputRef={password} />
      <ProblemText problem={problem} onOver={() => setProblem(null)} />
      <Button type="submit" look="solid" isDisabled={problem?.kind === "limited"} className={css.submit ?? ""}>
        {busy ? t("signIn.busy") : t("signIn")}
      </Button>
    </Form>
  );
}

function PasswordField({ inputRef }: { inputRef: React.Ref<HTMLInputElement> }) {
  const { t } = useLocale();
  const [shown, setShown] = useState(false);
  return (
    <TextField className={css.field} name="password" type={shown ? "text" : "password"} isRequired autoComplete="current-password">
      <Label>{t("signIn.password")}</Label>
      <div className={css.withButton}>
        <Input ref={inputRef} className={css.input} spellCheck={false} autoCapitalize="none" />
        <AriaButton className={css.show} aria-pressed={shown} aria-label={t("signIn.show")} onPress={() => setShown(!shown)}>
          <Icon name="eye" />
        </AriaButton>
      </div>
      <FieldError className={css.error} />
    </TextField>
  );
}

function ProblemText({ problem, onOver }: { problem: Problem | null; onOver: () => void }) {
  const { t, dates } = useLocale();
  const now = useNow1s(problem?.until !== undefined);
  const left = problem?.until === undefined ? 0 : problem.until - now;
  useEffect(() => {
    if (problem?.until !== undefined && left <= 0) onOver();
  });
  return (
    <div role="alert">
      {problem !== null && (
        <p className={css.problem}>
          <Icon name="alert" />
          {problem.kind === "limited" ? t("signIn.limited", { time: dates.spoken(roundUp(left)) }) : textOf(problem, t)}
        </p>
      )}
    </div>
  );
}

/** Whole minutes while there are some, then seconds; never less than is left. */
function roundUp(ms: number): number {
  const unit = ms > 60_000 ? 60_000 : 1_000;
  return Math.max(1, Math.ceil(ms / unit)) * unit;
}

function textOf(problem: Problem, t: ReturnType<typeof useLocale>["t"]): string {
  if (problem.kind === "wrong") return t("signIn.wrong");
  return problem.kind === "offline" ? t("signIn.offline") : t("signIn.failed", { reason: problem.message ?? "" });
}

/** What a failed sign-in means for the person. */
function problemOf(error: unknown): Problem {
  if (!(error instanceof DeskbellError)) return { kind: "offline" };
  if (error.code === "unauthorized") return { kind: "wrong" };
  if (error.code === "rate_limited") return { kind: "limited", until: Date.now() + (error.retryMs ?? 60_000) };
  return error.code === "offline" ? { kind: "offline" } : { kind: "other", message: error.message };
}

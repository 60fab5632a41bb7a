import type { ErrorComponentProps } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useT } from "../i18n/locale.ts";
import { Button } from "../ui/Button.tsx";
import { Notice } from "../ui/Notice.tsx";
import css from "../ui/Page.module.css";
import { isMissingFile, mayReload, reload } from "./reload.ts";
import { Splash } from "./Splash.tsx";

/** Stands where a page broke. When it only lacks a file that an upgrade took away, it loads itself anew, once. */
export function ErrorPage({ error }: ErrorComponentProps) {
  const t = useT();
  const missing = isMissingFile(error);
  const [reloading] = useState(() => missing && mayReload());
  useEffect(() => {
    if (reloading) reload();
  }, [reloading]);
  if (reloading) return <Splash />;
  return (
    <main id="main" className={css.page} tabIndex={-1}>
      <div role="alert" className={css.middle}>
        <Notice icon="alert" title={t(missing ? "error.missing" : "error.page")} hint={t(missing ? "error.missing.hint" : "error.page.hint")} heading="h1">
          <Button look="solid" icon="retry" onPress={() => reload()}>
            {t("reload")}
          </Button>
        </Notice>
      </div>
    </main>
  );
}

import { Link } from "@tanstack/react-router";
import { useT } from "../i18n/locale.ts";
import { Notice } from "../ui/Notice.tsx";
import css from "../ui/Page.module.css";

/** An address that leads nowhere. */
export function NotFound() {
  const t = useT();
  return (
    <main id="main" className={css.page} tabIndex={-1}>
      <Notice icon="search" title={t("notFound")} hint={t("notFound.hint")} heading="h1">
        <Link to="/c/inbox/$view" params={{ view: "mine" }}>
          {t("notFound.back")}
        </Link>
      </Notice>
    </main>
  );
}

import { useT } from "../i18n/locale.ts";
import { Bell } from "../ui/Bell.tsx";
import css from "./Splash.module.css";

/** Stands in while it is not known yet who is signed in. Shows itself only after 300 ms. */
export function Splash() {
  const t = useT();
  return (
    <main className={css.splash} aria-busy="true">
      <div className={css.late} role="status">
        <Bell size={40} />
        <span className="visually-hidden">{t("loading")}</span>
      </div>
    </main>
  );
}

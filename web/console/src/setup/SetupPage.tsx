import { useEffect, useRef } from "react";
import { SetupGuide } from "./SetupGuide.tsx";
import css from "./SetupPage.module.css";

/** The set-up guide as a page of its own. */
export function SetupPage() {
  const main = useRef<HTMLElement>(null);
  useEffect(() => main.current?.focus({ preventScroll: true }), []);
  return (
    <main ref={main} id="main" className={css.page} tabIndex={-1}>
      <SetupGuide />
    </main>
  );
}

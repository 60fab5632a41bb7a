import { useEffect, useRef } from "react";
import css from "../ui/Page.module.css";
import { SetupGuide } from "./SetupGuide.tsx";

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

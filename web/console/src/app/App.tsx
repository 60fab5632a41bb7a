import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { I18nProvider } from "react-aria-components";
import { saveDrafts } from "../composer/drafts.ts";
import { useLocale } from "../i18n/locale.ts";
import { agent } from "./agent.ts";
import { makeRouter } from "./router.tsx";

/** The console: one session, one router, one language. */
export function App() {
  const { tag } = useLocale();
  const [router] = useState(makeRouter);
  const [queries] = useState(() => new QueryClient({ defaultOptions: { queries: { retry: 1, refetchOnWindowFocus: false } } }));
  useEffect(() => {
    agent.start();
    addEventListener("pagehide", saveDrafts);
    return () => {
      agent.stop();
      removeEventListener("pagehide", saveDrafts);
    };
  }, []);
  return (
    <I18nProvider locale={tag}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </I18nProvider>
  );
}

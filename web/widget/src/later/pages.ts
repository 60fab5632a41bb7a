// Pages come and go under the widget, by single-page sites, without its being loaded again.
import type { Page } from "@deskbell/client";
import { pageOf } from "../chat/page.ts";

// How often the address is looked at where the browser can't tell of a change (no Navigation API), ms.
const LOOK_MS = 1000;

/** Tells of each page that follows this one without a reload. History functions are not patched. Returns how
 * to stop. */
export function watchPages(tell: (page: Page) => void): () => void {
  let last = pageOf(document).url;
  const look = () => {
    const page = pageOf(document);
    if (page.url === last) return;
    last = page.url;
    tell(page);
  };
  // A single-page site sets its title after it moved: look a moment later.
  const later = () => setTimeout(look, 100);
  const navigation = (window as { navigation?: EventTarget }).navigation;
  const timer = navigation ? undefined : setInterval(look, LOOK_MS);
  navigation?.addEventListener("currententrychange", later);
  addEventListener("popstate", later);
  return () => {
    clearInterval(timer);
    navigation?.removeEventListener("currententrychange", later);
    removeEventListener("popstate", later);
  };
}

/** A site that swaps its whole body between pages takes the widget out with it: puts it back. Returns how to stop. */
export function stayOn(host: HTMLElement): () => void {
  const watch = new MutationObserver(() => {
    if (!host.isConnected) document.body?.append(host);
    if (document.body) watch.observe(document.body, { childList: true });
  });
  watch.observe(document.documentElement, { childList: true });
  watch.observe(document.body, { childList: true });
  return () => watch.disconnect();
}

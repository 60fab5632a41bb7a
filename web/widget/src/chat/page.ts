// Which page the visitor is on.
import type { Page } from "@deskbell/client";

/** The page as the agents may see it. A fragment stays here unless it is a route: it may hold secrets of the page. */
export function pageOf({ location, title }: Pick<Document, "title"> & { location: { href: string } }): Page {
  const url = new URL(location.href);
  if (!url.hash.startsWith("#/")) url.hash = "";
  return { url: url.href.slice(0, 2000), title: title.slice(0, 300) };
}

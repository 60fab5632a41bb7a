import type { Head, InboxFilter } from "@deskbell/client";
import type { Key } from "../i18n/translate.ts";
import type { IconName } from "../ui/icons.ts";

/** The lists that everyone has. A colleague's list is `agent-<id>`. */
export const VIEWS = ["mine", "unassigned", "all", "closed"] as const;
/** A list as the address names it. */
export type ViewName = (typeof VIEWS)[number] | `agent-${string}`;

/** What the address bar says about the list. */
export interface Search {
  readonly q?: string;
  readonly sort?: "waiting";
  /** On a phone: the visitor's page instead of the thread. */
  readonly details?: true;
}

/** How each list is named and drawn. */
export const VIEW_LOOKS: Record<(typeof VIEWS)[number], { readonly label: Key; readonly icon: IconName; readonly empty: Key; readonly hint: Key }> = {
  mine: { label: "view.mine", icon: "user", empty: "empty.mine", hint: "empty.mine.hint" },
  unassigned: { label: "view.unassigned", icon: "inbox", empty: "empty.unassigned", hint: "empty.unassigned.hint" },
  all: { label: "view.all", icon: "people", empty: "empty.all", hint: "empty.all.hint" },
  closed: { label: "view.closed", icon: "done", empty: "empty.closed", hint: "empty.closed.hint" },
};

/** Reads a list's name from the address; anything unknown is one's own list. */
export function viewOf(name: string): ViewName {
  if ((VIEWS as readonly string[]).includes(name) || /^agent-[0-9a-f-]{8,36}$/.test(name)) return name as ViewName;
  return "mine";
}

/** The colleague whose list it is. */
export function agentOf(view: ViewName): string | null {
  return view.startsWith("agent-") ? view.slice("agent-".length) : null;
}

/** What the server is asked for. */
export function filterOf(view: ViewName, q: string | undefined): InboxFilter {
  const visitor = q?.trim();
  const assignee = agentOf(view) ?? (view === "mine" ? "me" : view === "unassigned" ? "none" : "any");
  return { status: view === "closed" ? "closed" : "open", assignee, ...(visitor ? { visitor } : {}) };
}

/** Whether a row belongs into a list; says at once what the server will say a moment later. */
export function belongs(head: Pick<Head, "status" | "assignee">, view: ViewName, me: string): boolean {
  if (view === "closed") return head.status === "closed";
  if (head.status !== "open") return false;
  if (view === "all") return true;
  return view === "unassigned" ? head.assignee === null : head.assignee === (agentOf(view) ?? me);
}

/** Reads the search part of the address. */
export function searchOf(raw: Record<string, unknown>): Search {
  const q = typeof raw.q === "string" || typeof raw.q === "number" ? String(raw.q) : "";
  return {
    ...(q === "" ? {} : { q }),
    ...(raw.sort === "waiting" ? { sort: "waiting" as const } : {}),
    ...(raw.details === true ? { details: true as const } : {}),
  };
}

/** Writes the search part of the address of a row: the list's own, without what belongs to one conversation. */
export function queryOf({ q, sort }: { readonly q?: string | undefined; readonly sort?: string | undefined }): string {
  const query = new URLSearchParams({ ...(q === undefined ? {} : { q }), ...(sort === undefined ? {} : { sort }) }).toString();
  return query === "" ? "" : `?${query}`;
}

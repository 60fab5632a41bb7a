import type { Entry } from "@deskbell/client";
import type { Translate } from "../i18n/translate.ts";
import type { IconName } from "../ui/icons.ts";

/** A happening in plain words. */
export interface LineText {
  readonly icon: IconName;
  readonly text: string;
  /** What somebody wrote about it. */
  readonly quote?: string;
}

/** What the words are made with. */
export interface Words {
  readonly t: Translate;
  readonly visitor: string;
  /** The name of an agent. */
  readonly nameOf: (id: string | undefined) => string;
}

/** Says what an entry means; null for one that is no line. */
export function lineOf(entry: Entry, words: Words): LineText | null {
  const { t, visitor } = words;
  switch (entry.event) {
    case "joined":
    case "left":
      return { icon: "user", text: t(`line.${entry.event}`, { agent: entry.body.agent.name ?? words.nameOf(entry.body.agent.id) }) };
    case "closed":
    case "reopened":
      return { icon: entry.event === "closed" ? "done" : "inbox", text: t(`line.${entry.event}`, { name: actor(entry, words) }) };
    case "rated":
      return { icon: "star", text: t("line.rated", { name: visitor, n: entry.body.score }), ...quoted(entry.body.comment) };
    case "assigned":
    case "unassigned":
    case "transferred":
      return assignment(entry, words);
    case "banned":
    case "unbanned":
      return { icon: "block", text: t(`line.${entry.event}`, { name: actor(entry, words), visitor }) };
    default:
      return null;
  }
}

function assignment(entry: Extract<Entry, { event: "assigned" | "unassigned" | "transferred" }>, words: Words): LineText {
  const { t, nameOf } = words;
  const { by } = entry.body;
  if (entry.event === "unassigned") {
    const { from } = entry.body;
    const key = by === from ? "line.handedBack" : by === "routing" ? "line.returned" : "line.unassigned";
    return { icon: "handBack", text: t(key, { from: nameOf(from), by: nameOf(by) }) };
  }
  const to = nameOf(entry.body.to);
  if (entry.event === "transferred") {
    return { icon: "assign", text: t("line.transferred", { from: nameOf(entry.body.from), to, by: nameOf(by) }) };
  }
  const key = by === entry.body.to ? "line.taken" : by === "routing" ? "line.routed" : "line.assigned";
  return { icon: by === entry.body.to ? "take" : "assign", text: t(key, { to, by: nameOf(by) }) };
}

function actor({ from }: Entry, { t, visitor, nameOf }: Words): string {
  if (from.kind === "visitor") return visitor;
  if (from.kind === "system") return t("line.system");
  return from.name ?? nameOf(from.id);
}

function quoted(comment: string | undefined): { quote?: string } {
  return comment === undefined || comment === "" ? {} : { quote: comment };
}

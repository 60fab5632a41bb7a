import type { Person } from "@deskbell/client";
import { useT } from "../i18n/locale.ts";
import type { Translate } from "../i18n/translate.ts";
import { shortId } from "./names.ts";

/** The name of a visitor, or one made from its id. */
export function visitorName(visitor: Person | undefined, t: Translate): string {
  if (visitor === undefined) return t("visitor.unnamed");
  return visitor.name ?? t("visitor.numbered", { number: shortId(visitor.id) });
}

/** The same, for components. */
export function useVisitorName(visitor: Person | undefined): string {
  return visitorName(visitor, useT());
}

// Typed texts. The English catalogs say which keys exist: the first screen's are part of the app, the rest arrives with
// the second half (`addEnglish`). Every other catalog is one file, fetched when its language is asked for.
import en from "./en.json";

type Catalog = typeof en & typeof import("./en.later.json");
/** A text of the catalogs. */
export type TextKey = keyof Catalog;
/** What fills a text's `{placeholders}`; `n` also chooses the plural form. */
export type TextValues = Record<string, string | number>;
type Plural = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

/** One language: its texts, its tag for `Intl`, and its direction. */
export interface Language {
  readonly tag: string;
  readonly dir: "ltr" | "rtl";
  t(key: TextKey, values?: TextValues): string;
}

const CATALOGS: Record<string, () => Promise<{ default: unknown }>> = {
  ar: () => import("./ar.json"),
  de: () => import("./de.json"),
};

const RIGHT_TO_LEFT = /^(ar|dv|fa|he|ku|ps|sd|ug|ur|yi)\b/;

const texts: Partial<Record<TextKey, string | Plural>> = { ...en };

/** Adds the English texts of the app's second half. */
export function addEnglish(more: typeof import("./en.later.json")): void {
  Object.assign(texts, more);
}

/** Makes a language of a catalog; keys that the catalog lacks are shown in English. */
export function language(tag: string, catalog: Partial<Record<TextKey, string | Plural>>): Language {
  const plurals = new Intl.PluralRules(tag);
  const numbers = new Intl.NumberFormat(tag);
  return {
    tag,
    dir: RIGHT_TO_LEFT.test(tag) ? "rtl" : "ltr",
    t(key, values = {}) {
      const text = catalog[key] ?? texts[key] ?? "";
      const form = typeof text === "string" ? text : (text[plurals.select(Number(values.n))] ?? text.other);
      return form.replace(/\{(\w+)\}/g, (_, name: string) => {
        const value = values[name] ?? "";
        return typeof value === "number" ? numbers.format(value) : value;
      });
    },
  };
}

/** English, which is always there. */
export const english = language("en", {});

/** The first of the wanted tags whose language there is a catalog for: `de-AT` is served by `de`. Else English. */
export function matchLocale(wanted: readonly (string | null | undefined)[]): string {
  for (const tag of wanted) {
    const base = baseOf(tag ?? "");
    if (base === "en" || Object.hasOwn(CATALOGS, base)) return tag!.replace("_", "-");
  }
  return "en";
}

/** Makes a language ready. When its catalog can't be had, or the tag is malformed, the chat goes on in English. */
export async function loadLanguage(tag: string): Promise<Language> {
  try {
    const catalog = CATALOGS[baseOf(tag)] ? (await CATALOGS[baseOf(tag)]!()).default : {};
    return language(tag, catalog as Parameters<typeof language>[1]);
  } catch {
    return english;
  }
}

function baseOf(tag: string): string {
  return tag.toLowerCase().split(/[-_]/)[0]!;
}

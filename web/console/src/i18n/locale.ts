import { useSyncExternalStore } from "react";
import en from "./en.json";
import { type Catalog, type Translate, translator } from "./translate.ts";
import { type Dates, dates } from "./dates.ts";

/** Languages that have a whole catalog. */
export const LANGUAGES = { en: "English", de: "Deutsch", ar: "العربية" } as const;
/** One of the languages that have a catalog. */
export type Language = keyof typeof LANGUAGES;

/** Everything that depends on the language in use. */
export interface Locale {
  readonly language: Language;
  readonly tag: string;
  readonly dir: "ltr" | "rtl";
  readonly t: Translate;
  readonly dates: Dates;
}

const LOADERS: Record<Exclude<Language, "en">, () => Promise<{ default: unknown }>> = {
  de: () => import("./de.json"),
  ar: () => import("./ar.json"),
};

const listeners = new Set<() => void>();
let current = make("en", en as Catalog);
let wanted: Language = "en";

/** The catalog language that suits the browser best. */
export function preferred(languages: readonly string[]): Language {
  for (const tag of languages) {
    const base = tag.split("-")[0] ?? "";
    if (base in LANGUAGES) return base as Language;
  }
  return "en";
}

/** Loads a language and switches the page to it: texts, `lang` and `dir`. */
export async function switchLanguage(language: Language): Promise<void> {
  wanted = language;
  const catalog = language === "en" ? en : (await LOADERS[language]()).default;
  if (wanted !== language) return;
  current = make(language, catalog as Catalog);
  document.documentElement.lang = current.tag;
  document.documentElement.dir = current.dir;
  for (const listener of listeners) listener();
}

/** The language in use, for code outside components. */
export function locale(): Locale {
  return current;
}

/** The language in use; the component renders again when it changes. */
export function useLocale(): Locale {
  return useSyncExternalStore(subscribe, locale);
}

/** `t()` of the language in use. */
export function useT(): Translate {
  return useLocale().t;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function make(language: Language, catalog: Catalog): Locale {
  const region = navigator.languages?.find((tag) => tag === language || tag.startsWith(`${language}-`));
  const tag = region ?? language;
  const t = translator(tag, catalog);
  return { language, tag, dir: language === "ar" ? "rtl" : "ltr", t, dates: dates(tag, t) };
}

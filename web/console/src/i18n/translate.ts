import type en from "./en.json";

/** A text of the catalog: plain, or one form per plural category of the language. */
export type Entry = string | Readonly<Partial<Record<Intl.LDMLPluralRule, string>>>;
/** Names of all texts; the English catalog is the one that defines them. */
export type Key = keyof typeof en;
/** All texts of one language. */
export type Catalog = Readonly<Record<Key, Entry>>;
/** Values for the `{name}` places of a text; `n` also chooses the plural form. */
export type Params = Readonly<Record<string, string | number>>;
/** Turns a key into a text of one language. */
export type Translate = (key: Key, params?: Params) => string;

/** Makes the `t()` of one language. Numbers are written in the language's own digits. */
export function translator(locale: string, catalog: Catalog): Translate {
  const plural = new Intl.PluralRules(locale);
  const number = new Intl.NumberFormat(locale);
  return (key, params = {}) => {
    const entry = catalog[key];
    const form = typeof entry === "string" ? entry : (entry[plural.select(Number(params.n))] ?? entry.other ?? key);
    return form.replace(/\{(\w+)\}/g, (place, name: string) => {
      const value = params[name];
      return value === undefined ? place : typeof value === "number" ? number.format(value) : value;
    });
  };
}

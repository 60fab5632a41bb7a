import { describe, expect, it } from "vitest";
import ar from "./ar.json";
import { dates } from "./dates.ts";
import de from "./de.json";
import en from "./en.json";
import { preferred } from "./locale.ts";
import { type Catalog, type Entry, type Key, translator } from "./translate.ts";

const catalogs: Record<string, Catalog> = { en: en as Catalog, de: de as Catalog, ar: ar as Catalog };
const forms = (entry: Entry): string[] => (typeof entry === "string" ? [entry] : Object.values(entry));
const places = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");

describe.each(Object.entries(catalogs))("catalog %s", (language, catalog) => {
  it("has every text and no other", () => {
    expect(Object.keys(catalog).sort()).toEqual(Object.keys(en).sort());
    for (const entry of Object.values(catalog)) for (const form of forms(entry)) expect(form.trim()).not.toBe("");
  });

  it("fills only places that the English text knows", () => {
    for (const key of Object.keys(en) as Key[]) {
      const known = new Set(forms(en[key] as Entry).flatMap(places));
      for (const form of forms(catalog[key])) for (const name of places(form)) expect(known, `${language} ${key}`).toContain(name);
    }
  });

  it("has every plural form that its language needs", () => {
    const needed = new Intl.PluralRules(language).resolvedOptions().pluralCategories;
    for (const [key, entry] of Object.entries(catalog)) {
      if (typeof entry !== "string") expect(Object.keys(entry), key).toEqual(expect.arrayContaining([...needed]));
    }
  });
});

describe("t()", () => {
  it("fills places, chooses plurals and writes the language's digits", () => {
    const t = translator("en", en as Catalog);
    expect(t("row.unread", { n: 1 })).toBe("1 unread message");
    expect(t("row.unread", { n: 1234 })).toBe("1,234 unread messages");
    expect(translator("de", de as Catalog)("row.unread", { n: 2 })).toBe("2 ungelesene Nachrichten");
    expect(translator("ar-EG", ar as Catalog)("list.pending", { n: 5 })).toBe("٥ تغييرات");
  });

  it("does not read places in what it was given", () => {
    expect(translator("en", en as Catalog)("announce.message", { name: "{text}", text: "{name}" })).toBe("{text}: {name}");
  });

  it("finds the language that the browser prefers", () => {
    expect(preferred(["fr-FR", "de-AT", "en"])).toBe("de");
    expect(preferred(["fr"])).toBe("en");
  });
});

describe("dates", () => {
  const { span, ago, day, spoken } = dates("en", translator("en", en as Catalog));
  const now = new Date(2026, 4, 4, 12).getTime();

  it("writes spans as short as they go", () => {
    expect([span(40_000), span(12 * 60_000), span(3 * 3_600_000), span(49 * 3_600_000)]).toEqual(["40s", "12m", "3h", "2d"]);
    expect(spoken(12 * 60_000)).toBe("12 minutes");
    expect(ago(now - 20_000, now)).toBe("now");
  });

  it("names days", () => {
    expect(day(now, now)).toBe("Today");
    expect(day(now - 24 * 3_600_000, now)).toBe("Yesterday");
    expect(day(now - 3 * 24 * 3_600_000, now)).toBe("Friday");
    expect(day(new Date(2024, 1, 2).getTime(), now)).toBe("February 2, 2024");
  });
});

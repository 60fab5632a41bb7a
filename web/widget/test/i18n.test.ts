import { describe, expect, test } from "vitest";
import ar from "../src/i18n/ar.json";
import de from "../src/i18n/de.json";
import first from "../src/i18n/en.json";
import more from "../src/i18n/en.later.json";
import { dayName } from "../src/later/dates.ts";
import { addEnglish, english, loadLanguage, matchLocale } from "../src/i18n/index.ts";

const en = { ...first, ...more };
addEnglish(more);

type Text = string | Record<string, string>;
const placeholders = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
const forms = (text: Text) => (typeof text === "string" ? { other: text } : text);

describe.each([
  ["de", de],
  ["ar", ar],
])("catalog %s", (tag, catalog: Record<string, Text>) => {
  test("has exactly the keys of the English one", () => {
    expect(Object.keys(catalog).sort()).toEqual(Object.keys(en).sort());
  });

  test.each(Object.entries(en as Record<string, Text>))("%s keeps its placeholders", (key, text) => {
    const wanted = placeholders(forms(text)["other"]!);
    const translated = forms(catalog[key]!);
    expect(placeholders(translated["other"]!)).toEqual(wanted);
    for (const form of Object.values(translated)) for (const name of placeholders(form)) expect(wanted).toContain(name);
  });

  test("counted texts have every plural form of the language", () => {
    const needed = [...new Intl.PluralRules(tag).resolvedOptions().pluralCategories].sort();
    for (const [key, text] of Object.entries(en))
      if (typeof text !== "string") expect(Object.keys(forms(catalog[key]!)).sort(), key).toEqual(needed);
  });
});

describe("language", () => {
  test("fills placeholders and chooses plurals", async () => {
    expect(english.t("log.jump", { n: 1 })).toBe("1 new message");
    expect(english.t("log.jump", { n: 3000 })).toBe("3,000 new messages");
    expect(english.t("typing.one", { name: "<b>" })).toBe("<b> is typing");
    const arabic = await loadLanguage("ar");
    expect(arabic.dir).toBe("rtl");
    expect(arabic.t("log.jump", { n: 2 })).toBe("رسالتان جديدتان");
  });

  test("a value that looks like a placeholder is not filled again", () => {
    expect(english.t("announce.message", { name: "{text}", text: "hi" })).toBe("{text}: hi");
  });

  test("finds the catalog of a tag", () => {
    expect(matchLocale(["de-AT", "en"])).toBe("de-AT");
    expect(matchLocale([null, "", "fr", "ar_EG"])).toBe("ar-EG");
    expect(matchLocale(["xx"])).toBe("en");
    expect(matchLocale(["constructor", "toString"])).toBe("en");
  });
});

test("a malformed tag falls back to English", async () => {
  expect((await loadLanguage("de-!")).tag).toBe("en");
  expect((await loadLanguage("en-GB")).tag).toBe("en-GB");
});

describe("day marks", () => {
  const now = new Date(2026, 2, 29, 12).getTime();
  test("today, yesterday, then dates", () => {
    expect(dayName(new Date(2026, 2, 29, 0, 1).getTime(), now, english)).toBe("Today");
    expect(dayName(new Date(2026, 2, 28, 23, 59).getTime(), now, english)).toBe("Yesterday");
    expect(dayName(new Date(2026, 2, 27, 23, 59).getTime(), now, english)).toBe("Friday, March 27");
    expect(dayName(new Date(2025, 11, 31).getTime(), now, english)).toContain("2025");
  });
});

import { describe, expect, test } from "vitest";
import { linkify } from "../src/later/linkify.ts";

const links = (text: string) => linkify(text).flatMap(({ text: label, href }) => (href ? [[label, href]] : []));

describe("linkify", () => {
  test("plain text is one piece", () => {
    expect(linkify("No link. Not even 1.5 or a.b")).toEqual([{ text: "No link. Not even 1.5 or a.b" }]);
    expect(linkify("")).toEqual([]);
  });

  test("web addresses, with and without scheme", () => {
    expect(links("see https://example.org/a?b=c#d and www.example.org")).toEqual([
      ["https://example.org/a?b=c#d", "https://example.org/a?b=c#d"],
      ["www.example.org", "https://www.example.org/"],
    ]);
  });

  test("mail and telephone", () => {
    expect(links("ada@example.org, mailto:b@example.org or tel:+49-30-123")).toEqual([
      ["ada@example.org", "mailto:ada@example.org"],
      ["mailto:b@example.org", "mailto:b@example.org"],
      ["tel:+49-30-123", "tel:+49-30-123"],
    ]);
  });

  test("punctuation around a link stays outside", () => {
    expect(links("(https://example.org/a).")).toEqual([["https://example.org/a", "https://example.org/a"]]);
    expect(links("https://en.wikipedia.org/wiki/Bell_(instrument)!")[0]?.[0]).toBe(
      "https://en.wikipedia.org/wiki/Bell_(instrument)",
    );
    expect(links("“https://example.org”")[0]?.[0]).toBe("https://example.org");
  });

  test.each(["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "vbscript:x", "https://", "JavaScript:alert`1`"])(
    "never links %s",
    (text) => expect(links(text)).toEqual([]),
  );

  test("pieces joined are the text again", () => {
    const text = "a https://x.org/, b@c.de\n(www.d.org) e tel:123456 f";
    expect(linkify(text).map((piece) => piece.text).join("")).toBe(text);
  });

  test("a long text of near misses takes no long time", () => {
    const started = performance.now();
    linkify("a@".repeat(4000));
    linkify("www.".repeat(2000));
    linkify(`https://${"(".repeat(4000)}${")".repeat(3990)}`);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

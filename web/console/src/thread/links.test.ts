import { describe, expect, it } from "vitest";
import { partsOf, safeUrl } from "./links.ts";

describe("links in messages", () => {
  it("finds web and e-mail addresses and leaves the sentence's punctuation out", () => {
    expect(partsOf("See https://shop.example/a?b=1, or mail ada@example.org.")).toEqual([
      { text: "See " },
      { text: "https://shop.example/a?b=1", href: "https://shop.example/a?b=1" },
      { text: ", or mail " },
      { text: "ada@example.org", href: "mailto:ada@example.org" },
      { text: "." },
    ]);
  });

  it("keeps a bracket that belongs to the address", () => {
    expect(partsOf("(https://x.example/a_(b))")[1]?.href).toBe("https://x.example/a_(b)");
  });

  it("never makes a link of anything else", () => {
    for (const text of ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "<img src=x>"]) {
      expect(partsOf(text)).toEqual([{ text }]);
    }
    expect(safeUrl("javascript:alert(1)")).toBeUndefined();
    expect(safeUrl("https://x.example")).toBe("https://x.example");
  });

  it("loses no character", () => {
    const text = "a http://b.c d@e.fr\nf";
    expect(partsOf(text).map((part) => part.text).join("")).toBe(text);
  });
});

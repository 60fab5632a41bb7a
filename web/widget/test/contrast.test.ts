import { describe, expect, test } from "vitest";
import { isHex, wantsWhite } from "../src/text/accent.ts";

const hex = (...channels: number[]) => `#${channels.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;

// Relative luminance as WCAG 2.2 defines it.
function luminance(color: string): number {
  const [r, g, b] = color.match(/\w\w/g)!.map((pair) => {
    const part = parseInt(pair, 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function ratio(one: string, other: string): number {
  const [a, b] = [luminance(one), luminance(other)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

describe("contrast", () => {
  test("only #rrggbb is a colour", () => {
    expect(isHex("#1a2B3c")).toBe(true);
    for (const wrong of ["red", "#fff", "#1234567", "url(x)", "#12345g", ""]) expect(isHex(wrong), wrong).toBe(false);
  });

  test("black on white is 21", () => {
    expect(ratio("#000000", "#ffffff")).toBeCloseTo(21, 5);
  });

  test("text on any accent reaches 4.5", () => {
    for (let r = 0; r <= 255; r += 17)
      for (let g = 0; g <= 255; g += 17)
        for (let b = 0; b <= 255; b += 17) {
          const accent = hex(r, g, b);
          expect(ratio(wantsWhite(accent) ? "#ffffff" : "#000000", accent)).toBeGreaterThanOrEqual(4.5);
        }
  });
});

// Initials on a colour that stays with the person.
import { h } from "preact";

const HUES = 6;

/** The first letters of the first and the last word of a name. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => [...(word ?? "")][0] ?? "");
  return letters.join("").toLocaleUpperCase();
}

/** A number below `HUES` that is always the same for the same name. */
export function hueOf(name: string): number {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)!) % 65521;
  return sum % HUES;
}

/** A round avatar; silent, because the name always stands beside it. */
export function Avatar({ name }: { name: string }) {
  return (
    <span class="avatar" data-hue={hueOf(name)} aria-hidden="true">
      {initials(name) || "?"}
    </span>
  );
}

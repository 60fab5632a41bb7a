/** The most characters (Unicode code points) that a message may have. */
export const LIMIT = 8_000;

/** The length of a text as the server counts it: code points after composition. */
export function lengthOf(text: string): number {
  // Most texts are far from the limit; counting exactly matters only near it.
  if (text.length < LIMIT * 0.5) return text.length;
  return [...text.trim().normalize("NFC")].length;
}

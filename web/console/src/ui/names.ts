/** How many colours avatars have. */
const HUES = 8;

/** Up to two initials; empty without a name. */
export function initials(name: string | undefined): string {
  const words = (name ?? "").trim().split(/\s+/u).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  const first = words[0];
  const last = words.length > 1 ? words.at(-1) : undefined;
  return [first, last].map((word) => (word === undefined ? "" : ([...word][0] ?? ""))).join("").toLocaleUpperCase();
}

/** The colour of an id, always the same one. */
export function hueOf(id: string): number {
  let hash = 0;
  for (const char of id) hash = (Math.imul(hash, 31) + char.charCodeAt(0)) >>> 0;
  return hash % HUES;
}

/** What an unnamed visitor is called by: the end of its id tells two of them apart. */
export function shortId(id: string): string {
  return id.replace(/-/g, "").slice(-4).toUpperCase();
}

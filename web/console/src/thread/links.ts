/** A piece of a message: words, or an address that may be followed. */
export interface Part {
  readonly text: string;
  readonly href?: string;
}

/** Addresses that become links; nothing but http, https and e-mail ever does. */
const ADDRESS = /\b(?:https?:\/\/[^\s<>"']+|[\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+)/giu;
/** A full stop or bracket at the end belongs to the sentence, not to the address. */
const TRAILING = /[.,;:!?)\]}»”’]+$/u;

/** Splits a text at the addresses in it. */
export function partsOf(text: string): Part[] {
  // Most messages have no address; a look for its signs costs a hundredth of the search.
  if (!text.includes("@") && !text.includes("://")) return text === "" ? [] : [{ text }];
  const parts: Part[] = [];
  let done = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trim(match[0]);
    if (match.index > done) parts.push({ text: text.slice(done, match.index) });
    parts.push({ text: address, href: /^https?:/i.test(address) ? address : `mailto:${address}` });
    done = match.index + address.length;
  }
  if (done < text.length) parts.push({ text: text.slice(done) });
  return parts;
}

/** A page address that may be linked, or undefined. */
export function safeUrl(url: string): string | undefined {
  return /^https?:\/\//i.test(url) ? url : undefined;
}

/** Takes the sentence's punctuation off, but leaves a bracket that the address itself opened. */
function trim(address: string): string {
  const bare = address.replace(TRAILING, "");
  return address[bare.length] === ")" && bare.split("(").length > bare.split(")").length ? `${bare})` : bare;
}

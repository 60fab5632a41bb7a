// Finds what may become a link in a message. Only http, https, mailto and tel, whatever else a text holds.

/** A piece of a message: plain text, or text that leads somewhere. */
export type Piece = { readonly text: string; readonly href?: string };

const CANDIDATE =
  /\b(?:https?:\/\/[^\s<>"]+|mailto:[^\s<>"]+|tel:[+\d][\d\-.()]*\d|www\.[^\s<>"]+\.[^\s<>"]+)|[\w.+-]+@[a-z\d-]+(?:\.[a-z\d-]+)+/giu;
const ALLOWED = new Set(["http:", "https:", "mailto:", "tel:"]);
const TRAILING = /[.,;:!?'’”»…،؛؟*_~]+$/u;
const CLOSERS: Record<string, string> = { ")": "(", "]": "[", "}": "{" };

/** Cuts a message into pieces; joined, their texts are the message again. */
export function linkify(text: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const match of text.matchAll(CANDIDATE)) {
    const label = trimTail(match[0]);
    const href = hrefOf(label);
    if (!href) continue;
    if (match.index > from) pieces.push({ text: text.slice(from, match.index) });
    pieces.push({ text: label, href });
    from = match.index + label.length;
  }
  if (from < text.length) pieces.push({ text: text.slice(from) });
  return pieces;
}

// A sentence's full stop, and a bracket that was opened before the link, belong to the sentence.
function trimTail(candidate: string): string {
  let label = candidate.replace(TRAILING, "");
  for (;;) {
    const last = label.slice(-1);
    const opener = CLOSERS[last];
    if (!opener || count(label, opener) >= count(label, last)) return label;
    label = label.slice(0, -1).replace(TRAILING, "");
  }
}

function count(text: string, character: string): number {
  return text.split(character).length - 1;
}

function hrefOf(label: string): string | undefined {
  const address = /^www\./i.test(label) ? `https://${label}` : /^[^:/]+@/.test(label) ? `mailto:${label}` : label;
  try {
    const url = new URL(address);
    return ALLOWED.has(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}

// Where a reader is in a scrolling list, and how to keep them there while it changes above them.

/** A row and its distance from the upper edge of the list, px. */
export interface Anchor {
  readonly row: string;
  readonly top: number;
}

// Closer to an edge than this counts as being there, px: rounding, and the last line's padding.
const END_PX = 48;
// Older messages are asked for this far before the reader runs out of them, px.
const START_PX = 160;

/** Is the newest row in view? */
export function isAtEnd(list: HTMLElement): boolean {
  return list.scrollHeight - list.scrollTop - list.clientHeight < END_PX;
}

/** Is the reader about to run out of older rows? */
export function isNearStart(list: HTMLElement): boolean {
  return list.scrollTop < START_PX;
}

/** The first row in view. */
export function anchorOf(list: HTMLElement): Anchor | undefined {
  const edge = list.getBoundingClientRect().top;
  for (const element of list.querySelectorAll<HTMLElement>("[data-row^='m ']")) {
    const box = element.getBoundingClientRect();
    if (box.bottom > edge) return { row: element.dataset.row!, top: box.top - edge };
  }
  return undefined;
}

/** Scrolls so that the row stands where it stood. */
export function putBack(list: HTMLElement, { row, top }: Anchor): void {
  const element = list.querySelector(`[data-row="${CSS.escape(row)}"]`);
  if (!element) return;
  const moved = element.getBoundingClientRect().top - list.getBoundingClientRect().top - top;
  if (moved) list.scrollTop += moved;
}

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** Nearer to the end than this counts as being there. */
const END_PX = 48;
/** Older entries are asked for when the top is nearer than this. */
const TOP_PX = 240;

/** The line that the reader is on: a marked element, and how far below the top of the window it stands. */
interface Anchor {
  readonly key: string;
  readonly offset: number;
}

/**
 * Keeps the reader's place: at the end it follows what arrives; anywhere else the line at the top of the window stays where it
 * is, also when older entries come in above it. `sending` is how many own texts are on their way: a new one shows the end.
 */
export function useLogScroll(items: unknown, extra: unknown, sending: number, onTop: () => void) {
  const ref = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const end = useRef(true);
  const anchor = useRef<Anchor | null>(null);
  const top = useRef(onTop);
  useEffect(() => {
    top.current = onTop;
  });

  const before = useRef(sending);
  const settle = useCallback(() => {
    const log = ref.current;
    if (log === null) return;
    if (end.current) log.scrollTop = log.scrollHeight;
    else restore(log, anchor.current);
  }, []);

  useLayoutEffect(() => {
    if (sending > before.current) end.current = true;
    before.current = sending;
    settle();
    if (ref.current !== null && !end.current) anchor.current = anchorOf(ref.current);
  }, [items, extra, sending, settle]);

  useEffect(() => {
    const log = ref.current;
    if (log === null) return;
    const look = (): void => {
      end.current = log.scrollHeight - log.scrollTop - log.clientHeight < END_PX;
      anchor.current = end.current ? null : anchorOf(log);
      setAtEnd(end.current);
      if (log.scrollTop < TOP_PX && log.scrollHeight > log.clientHeight) top.current();
    };
    log.addEventListener("scroll", look, { passive: true });
    // The composer grows, the window turns, the text is enlarged: the reader's line stays.
    const size = new ResizeObserver(settle);
    size.observe(log);
    return () => {
      log.removeEventListener("scroll", look);
      size.disconnect();
    };
  }, [settle]);

  const toEnd = useCallback(() => {
    const log = ref.current;
    if (log === null) return;
    end.current = true;
    setAtEnd(true);
    log.scrollTop = log.scrollHeight;
    log.focus({ preventScroll: true });
  }, []);
  return { ref, atEnd, toEnd };
}

function anchorOf(log: HTMLElement): Anchor | null {
  const line = log.getBoundingClientRect().top;
  for (const element of log.querySelectorAll<HTMLElement>("[data-anchor]")) {
    const box = element.getBoundingClientRect();
    if (box.bottom > line) return { key: element.dataset.anchor ?? "", offset: box.top - line };
  }
  return null;
}

function restore(log: HTMLElement, anchor: Anchor | null): void {
  if (anchor === null) return;
  const element = log.querySelector<HTMLElement>(`[data-anchor="${CSS.escape(anchor.key)}"]`);
  if (element === null) return;
  log.scrollTop += element.getBoundingClientRect().top - log.getBoundingClientRect().top - anchor.offset;
}

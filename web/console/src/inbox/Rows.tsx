import { useVirtualizer } from "@tanstack/react-virtual";
import { useCallback, useEffect, useImperativeHandle, useRef, useState } from "react";
import { useT } from "../i18n/locale.ts";
import { Row } from "./Row.tsx";
import css from "./Rows.module.css";
import { neighbour } from "./order.ts";
import type { ViewName } from "./view.ts";

/** What others may ask of the rows. */
export interface RowsHandle {
  /** Brings a row into sight and focuses it. */
  focus(id: string): void;
  /** The row that has the focus. */
  cursor(): string | undefined;
}

interface RowsProps {
  readonly ref: React.Ref<RowsHandle>;
  readonly ids: readonly string[];
  readonly view: ViewName;
  readonly query: string;
  readonly open: string | undefined;
  readonly more: boolean;
  readonly onMore: () => Promise<void>;
  readonly onHold: (held: boolean) => void;
}

/** The height of a row before it is measured, in CSS pixels. */
const ROW_PX = 68;
const estimateSize = (): number => ROW_PX;
/** Older rows are asked for when this many are left below. */
const AHEAD = 10;

/** The rows of the list; only those in sight exist in the page. */
export function Rows({ ref, ids, view, query, open, more, onMore, onHold }: RowsProps) {
  const t = useT();
  const scroller = useRef<HTMLDivElement>(null);
  // The same functions while the rows are the same: the virtualizer measures all again when they change.
  const getItemKey = useCallback((index: number) => ids[index] ?? index, [ids]);
  const rows = useVirtualizer({
    count: ids.length,
    getScrollElement: () => scroller.current,
    estimateSize,
    getItemKey,
    overscan: 6,
  });
  const { tabStop, setCursor } = useFocus(ref, ids, open, (index) => rows.scrollToIndex(index, { align: "auto" }));
  const items = rows.getVirtualItems();
  useMore(items.at(-1)?.index ?? 0, ids.length, more, onMore);
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : null;
    if (step === null || event.altKey || event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    const to = neighbour(ids, tabStop ?? "", step);
    if (to !== null) setCursor(to, true);
  };
  return (
    <div
      ref={scroller}
      className={css.scroller}
      onKeyDown={onKeyDown}
      onPointerMove={(event) => onHold(event.pointerType === "mouse")}
      onPointerLeave={() => onHold(false)}
    >
      <ul className={css.list} style={{ blockSize: rows.getTotalSize() }} aria-label={t("list")}>
        {items.map(({ key, index, start }) => {
          const id = ids[index] ?? "";
          return (
            <li
              key={key}
              ref={rows.measureElement}
              data-index={index}
              className={css.item}
              style={{ translate: `0 ${start}px` }}
              aria-setsize={more ? -1 : ids.length}
              aria-posinset={index + 1}
            >
              <Row id={id} view={view} query={query} open={id === open} stop={id === tabStop} onFocus={() => setCursor(id, false)} />
            </li>
          );
        })}
      </ul>
    </div>
  );
}

/** Keeps one row reachable by Tab, and focuses rows that others ask for as soon as they exist. */
function useFocus(ref: React.Ref<RowsHandle>, ids: readonly string[], open: string | undefined, reveal: (index: number) => void) {
  const [cursor, set] = useState<{ readonly id: string; readonly grab: boolean } | null>(null);
  const place = cursor === null ? -1 : ids.indexOf(cursor.id);
  const tabStop = place >= 0 ? cursor?.id : open !== undefined && ids.includes(open) ? open : ids[0];
  const setCursor = (id: string, grab: boolean): void => set({ id, grab });
  useImperativeHandle(ref, () => ({
    focus: (id) => setCursor(id, true),
    cursor: () => document.activeElement?.closest<HTMLElement>("[data-row]")?.dataset.row ?? (place >= 0 ? cursor?.id : undefined),
  }));
  const wanted = cursor?.grab === true ? cursor : null;
  useEffect(() => {
    if (wanted === null) return;
    const index = ids.indexOf(wanted.id);
    if (index < 0) return;
    reveal(index);
    // The row may enter the page only after the scroll; two frames are enough for that.
    const grab = (): void => document.querySelector<HTMLElement>(`[data-row="${CSS.escape(wanted.id)}"]`)?.focus({ preventScroll: true });
    grab();
    let frame = requestAnimationFrame(() => {
      frame = requestAnimationFrame(grab);
    });
    return () => cancelAnimationFrame(frame);
    // Only a new wish moves the focus; rows that come and go do not.
  }, [wanted]);
  return { tabStop, setCursor };
}

function useMore(lastIndex: number, count: number, more: boolean, onMore: () => Promise<void>): void {
  const near = more && lastIndex >= count - AHEAD;
  useEffect(() => {
    if (near) void onMore().catch(() => undefined);
  }, [near, count, onMore]);
}

import { h } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Icon } from "../view/icon.tsx";
import { ICONS } from "./icons.ts";

/** One thing to do. */
export interface MenuItem {
  readonly icon: keyof typeof ICONS;
  readonly text: string;
  readonly act: () => void;
}

interface Props {
  readonly label: string;
  readonly items: readonly MenuItem[];
  /** Called when it is done; `focus` says whether focus goes back to the button. */
  readonly leave: (focus: boolean) => void;
}

/** A menu as the ARIA practices describe it: arrows move, Escape and Tab leave, focus starts on the first item. */
export function Menu({ label, items, leave }: Props) {
  const menu = useRef<HTMLDivElement>(null);
  const focus = (at: number) => (menu.current!.children[(at + items.length) % items.length] as HTMLElement).focus();
  useLayoutEffect(() => focus(0), []);

  const onKeyDown = (event: KeyboardEvent) => {
    const at = [...menu.current!.children].indexOf(event.target as Element);
    const moves: Record<string, () => void> = {
      ArrowDown: () => focus(at + 1),
      ArrowUp: () => focus(at - 1),
      Home: () => focus(0),
      End: () => focus(-1),
      Escape: () => leave(true),
    };
    if (event.key === "Tab") leave(false);
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]!();
  };
  const onFocusOut = (event: FocusEvent) => {
    if (!menu.current!.contains(event.relatedTarget as Node | null)) leave(false);
  };
  return (
    <div
      ref={menu}
      class="menu"
      role="menu"
      aria-label={label}
      onKeyDown={onKeyDown}
      onFocusOut={onFocusOut}
      // Safari gives clicked buttons no focus: without this the menu would be gone before the click.
      onMouseDown={(event) => event.preventDefault()}
    >
      {items.map(({ icon, text, act }) => (
        <button
          type="button"
          role="menuitem"
          tabIndex={-1}
          onClick={() => {
            leave(true);
            act();
          }}
        >
          <Icon path={ICONS[icon]} />
          {text}
        </button>
      ))}
    </div>
  );
}

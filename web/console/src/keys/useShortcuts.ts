import { useEffect, useEffectEvent } from "react";
import { useSettings } from "../settings/settings.ts";
import { type Command, interpret, type Pending, type Press } from "./keymap.ts";

/** What each command does on the page that is shown; a missing one does nothing. */
export type Handlers = Partial<Record<Command, () => void>>;

/** Listens to the whole page and runs the handler of each shortcut: always that of what is on the page in that moment. */
export function useShortcuts(handlers: Handlers): void {
  const handlerOf = useEffectEvent((command: Command) => handlers[command]);
  useEffect(() => {
    let pending: Pending | null = null;
    const onKey = (event: KeyboardEvent): void => {
      if (event.defaultPrevented || event.isComposing || event.repeat && event.key === "Enter") return;
      const meaning = interpret(pressOf(event), pending, Date.now(), useSettings.getState().singleKeys);
      pending = meaning !== null && "pending" in meaning ? meaning.pending : null;
      if (meaning === null || !("command" in meaning)) return;
      const handler = handlerOf(meaning.command);
      if (handler === undefined) return;
      event.preventDefault();
      handler();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

function pressOf(event: KeyboardEvent): Press {
  return {
    key: event.key,
    code: event.code,
    mod: event.metaKey || event.ctrlKey,
    alt: event.altKey,
    typing: isTyping(event.target, event.key),
  };
}

/** Text fields, open menus and dialogs keep their keys; Enter also belongs to whatever button or link has the focus. */
function isTyping(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest("input, textarea, select, [role=dialog], [role=alertdialog], [role=menu], [role=listbox]")) return true;
  return key === "Enter" && target.closest("a, button") !== null;
}

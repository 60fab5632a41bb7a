import { useNavigate } from "@tanstack/react-router";
import { matches, PHONE } from "../app/media.ts";
import { neighbour } from "../inbox/order.ts";
import { shownIds } from "../inbox/shown.ts";
import type { ViewName } from "../inbox/view.ts";
import { close } from "./actions.ts";

/** Closes a conversation and goes on to the next one, with the focus; on a phone back to the list. */
export function useCloseAndNext(id: string, view: ViewName): () => Promise<void> {
  const navigate = useNavigate();
  const show = (conversation: string) =>
    navigate({ to: "/c/inbox/$view/$conversation", params: { view, conversation }, search: ({ details: _, ...rest }) => rest });
  return async () => {
    const next = matches(PHONE) ? null : neighbour(shownIds.get(), id);
    const closing = close(id, () => void show(id));
    if (next === null || next === id) {
      await navigate({ to: "/c/inbox/$view", params: { view }, search: ({ details: _, ...rest }) => rest });
      focusSoon("#list-title");
    } else {
      await show(next);
      focusSoon(`[data-row="${CSS.escape(next)}"]`);
    }
    await closing;
  };
}

/** The page draws first; then the focus lands where the person goes on. */
function focusSoon(selector: string): void {
  requestAnimationFrame(() => requestAnimationFrame(() => document.querySelector<HTMLElement>(selector)?.focus()));
}

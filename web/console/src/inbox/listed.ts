import { laid, type Overlay } from "../actions/overlay.ts";
import { agent } from "../app/agent.ts";
import { belongs, type ViewName } from "./view.ts";

/** Leaves out rows that the person has just moved elsewhere, before the server confirms it. */
export function visible(ids: readonly string[], overlays: Readonly<Record<string, Overlay>>, view: ViewName, self: string): readonly string[] {
  const touched = Object.keys(overlays);
  if (touched.length === 0) return ids;
  return ids.filter((id) => {
    const head = overlays[id] === undefined ? undefined : agent.head(id).getSnapshot();
    return head === undefined || belongs(laid(head, overlays[id]), view, self);
  });
}

import type { ConversationStatus, Head } from "@deskbell/client";
import { create } from "zustand";

/** What the person just did to a conversation and the server has not confirmed yet. */
export interface Overlay {
  readonly assignee?: string | null;
  readonly status?: ConversationStatus;
}

interface OverlayStore {
  readonly overlays: Readonly<Record<string, Overlay>>;
}

/** Changes shown before the server confirmed them. */
export const useOverlays = create<OverlayStore>()(() => ({ overlays: {} }));

/** Shows a change at once. */
export function lay(conversation: string, overlay: Overlay): void {
  useOverlays.setState(({ overlays }) => ({ overlays: { ...overlays, [conversation]: { ...overlays[conversation], ...overlay } } }));
}

/** Goes back to what the server says. */
export function lift(conversation: string): void {
  useOverlays.setState(({ overlays }) => {
    const { [conversation]: _, ...rest } = overlays;
    return { overlays: rest };
  });
}

/** A head with what was just done to it. */
export function laid<T extends Pick<Head, "assignee" | "status">>(head: T, overlay: Overlay | undefined): T {
  return overlay === undefined ? head : { ...head, ...overlay };
}

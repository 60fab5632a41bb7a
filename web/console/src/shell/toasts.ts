import { create } from "zustand";

/** A short message about something that was just done, or failed. */
export interface Toast {
  readonly id: number;
  readonly kind: "done" | "failed";
  readonly text: string;
  readonly action?: { readonly label: string; readonly run: () => void };
}

interface ToastStore {
  readonly toasts: readonly Toast[];
}

/** More than this at once hides the page; the oldest makes room. */
const MOST = 3;
let last = 0;

/** The messages that are shown now, oldest first. */
export const useToasts = create<ToastStore>()(() => ({ toasts: [] }));

/** Shows a message. A failure stays until it is dismissed; what was done is told one at a time, the latest. */
export function toast(kind: Toast["kind"], text: string, action?: Toast["action"]): void {
  last += 1;
  const shown: Toast = { id: last, kind, text, ...(action === undefined ? {} : { action }) };
  useToasts.setState(({ toasts }) => ({ toasts: [...toasts.filter((one) => kind === "failed" || one.kind === "failed"), shown].slice(-MOST) }));
}

/** Takes a message away. */
export function dismiss(id: number): void {
  useToasts.setState(({ toasts }) => ({ toasts: toasts.filter((one) => one.id !== id) }));
}

import { create } from "zustand";

/** Windows that lie over the page; one at a time. */
export type DialogName = "palette" | "help" | "settings" | "assign" | "block";

interface UiStore {
  readonly dialog: DialogName | null;
}

/** Which window is open. */
export const useUi = create<UiStore>()(() => ({ dialog: null }));

/** Opens a window, or closes the one that is open. */
export function openDialog(dialog: DialogName | null): void {
  useUi.setState({ dialog });
}

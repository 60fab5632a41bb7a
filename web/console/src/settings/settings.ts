import { create } from "zustand";
import { persist } from "zustand/middleware";
import { type Language, preferred, switchLanguage } from "../i18n/locale.ts";

/** How the page chooses its colours. */
export type Theme = "auto" | "light" | "dark";
/** How much air rows have. */
export type Density = "cosy" | "compact";

/** What one person set on this device. */
export interface Settings {
  theme: Theme;
  density: Density;
  language: Language;
  /** Single-key shortcuts; WCAG 2.1.4 wants a way to switch them off. */
  singleKeys: boolean;
  sounds: boolean;
  desktopNotices: boolean;
  /** Whether the visitor panel is shown beside the thread. */
  details: boolean;
}

interface SettingsStore extends Settings {
  set(change: Partial<Settings>): void;
}

/** The settings of this device, kept over reloads. */
export const useSettings = create<SettingsStore>()(
  persist(
    (set) => ({
      theme: "auto",
      density: "cosy",
      language: preferred(navigator.languages ?? ["en"]),
      singleKeys: true,
      sounds: true,
      desktopNotices: false,
      details: true,
      set: (change) => set(change),
    }),
    { name: "deskbell.settings", version: 1 },
  ),
);

/** Applies the settings that live on the root element, now and at every change. */
export function applySettings(): Promise<void> {
  const apply = ({ theme, density }: Settings): void => {
    const root = document.documentElement;
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    root.dataset.density = density;
  };
  apply(useSettings.getState());
  useSettings.subscribe((now, before) => {
    apply(now);
    if (now.language !== before.language) void switchLanguage(now.language);
  });
  return switchLanguage(useSettings.getState().language);
}

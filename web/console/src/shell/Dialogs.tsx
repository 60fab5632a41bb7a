import { lazy, Suspense } from "react";
import { openDialog, useUi } from "./ui.ts";

const Help = lazy(async () => ({ default: (await import("./HelpDialog.tsx")).HelpDialog }));
const Settings = lazy(async () => ({ default: (await import("./SettingsDialog.tsx")).SettingsDialog }));
const Palette = lazy(async () => ({ default: (await import("../palette/Palette.tsx")).Palette }));
const Assign = lazy(async () => ({ default: (await import("../actions/AssignDialog.tsx")).AssignDialog }));
const WINDOWS = { help: Help, settings: Settings, palette: Palette, assign: Assign };

/** The window that lies over the page, if any; each is loaded when it is first wanted. */
export function Dialogs() {
  const dialog = useUi((ui) => ui.dialog);
  if (dialog === null) return null;
  const Shown = WINDOWS[dialog];
  return (
    <Suspense fallback={null}>
      <Shown onClose={() => openDialog(null)} />
    </Suspense>
  );
}

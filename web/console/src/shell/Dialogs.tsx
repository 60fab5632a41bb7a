import { Component, lazy, Suspense, useEffect } from "react";
import { reload } from "../app/reload.ts";
import { locale } from "../i18n/locale.ts";
import { toast } from "./toasts.ts";
import { openDialog, useUi } from "./ui.ts";

const help = async () => ({ default: (await import("./HelpDialog.tsx")).HelpDialog });
const settings = async () => ({ default: (await import("./SettingsDialog.tsx")).SettingsDialog });
const palette = async () => ({ default: (await import("../palette/Palette.tsx")).Palette });
const assign = async () => ({ default: (await import("../actions/AssignDialog.tsx")).AssignDialog });
const block = async () => ({ default: (await import("../actions/BlockDialog.tsx")).BlockDialog });
const WINDOWS = { help: lazy(help), settings: lazy(settings), palette: lazy(palette), assign: lazy(assign), block: lazy(block) };

// Safari has no idle callback.
const whenIdle = window.requestIdleCallback ?? setTimeout;

/**
 * The window that lies over the page, if any. They are no part of the first screen, but fetched right after it: so each opens at
 * once, and also while the server is away or has become a newer one that no longer has these files.
 */
export function Dialogs() {
  const dialog = useUi((ui) => ui.dialog);
  useEffect(() => {
    whenIdle(() => void Promise.allSettled([help(), settings(), palette(), assign(), block()]));
  }, []);
  if (dialog === null) return null;
  const Shown = WINDOWS[dialog];
  return (
    <Boundary key={dialog}>
      <Suspense fallback={null}>
        <Shown onClose={() => openDialog(null)} />
      </Suspense>
    </Boundary>
  );
}

/** A window that can't be shown leaves the page as it is: what one was doing goes on. */
class Boundary extends Component<{ children: React.ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override componentDidCatch(): void {
    const { t } = locale();
    openDialog(null);
    toast("failed", t("error.window"), { label: t("reload"), run: () => reload() });
  }

  override render(): React.ReactNode {
    return this.state.failed ? null : this.props.children;
  }
}

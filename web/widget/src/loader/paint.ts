// Shows the settings: colour scheme, accent, corner, direction and name of the launcher.
import type { Seat } from "../seat.ts";
import { DEFAULT_ACCENT } from "../settings.ts";
import { isHex, wantsWhite } from "../text/accent.ts";
import launcherCss from "../style/launcher.css?inline";

const LABELS: Record<string, string> = { ar: "تحدّث معنا", de: "Mit uns chatten", en: "Chat with us" };
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Makes the launcher, once. */
export function makeLauncher({ root, button, paint }: Seat): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(launcherCss);
  root.adoptedStyleSheets = [sheet];
  button.className = "launcher";
  button.ariaExpanded = "false";
  root.append(button);
  dark.onchange = paint;
}

/** Paints host and launcher. */
export function paintSeat({ host, button, settings, label }: Seat): void {
  const { theme, position, mode, launcher, locale } = settings;
  const language = (locale || document.documentElement.lang || navigator.language).slice(0, 2);
  const accent = isHex(settings.accent) ? settings.accent : DEFAULT_ACCENT;
  if (!label) host.dir = language === "ar" ? "rtl" : "ltr";
  const scheme = theme === "auto" ? (dark.matches ? "dark" : "light") : theme;
  Object.assign(host.dataset, { scheme, position, mode, launcher: mode === "page" ? "none" : launcher });
  host.style.cssText = `--accent:${accent};--on-accent:${wantsWhite(accent) ? "#fff" : "#000"}`;
  button.ariaLabel = label ?? LABELS[language] ?? LABELS.en!;
}

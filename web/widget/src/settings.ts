// What a site can choose: attributes of the script tag, or `Deskbell('set', {...})` later.

/** The accent of a site that sets none, or sets something that is not `#rrggbb`. */
export const DEFAULT_ACCENT = "#3a4fd0";

/** Everything a site can set, with the defaults of `readSettings`. */
export interface Settings {
  /** The project's public key. */
  project: string;
  /** Where the chat server is, e.g. `https://chat.example.org`. */
  server: string;
  /** `auto` follows the reader's system. */
  theme: "auto" | "light" | "dark";
  /** `#rrggbb`; text on it turns black or white, whichever is legible. */
  accent: string;
  /** The bottom corner: `end` is right in left-to-right languages. */
  position: "end" | "start";
  /** A language tag; empty: the page's language, then the browser's. */
  locale: string;
  /** What may be kept in the browser, and for how long. */
  storage: "none" | "tab" | "device";
  /** `page` fills the window (hosted page), `frame` shows the hosted page in a frame. */
  mode: "widget" | "page" | "frame";
  /** `none` when the site brings a button of its own. */
  launcher: "show" | "none";
}

/** The settings that may change while the widget runs. */
export type LiveSettings = Pick<Settings, "theme" | "accent" | "position" | "locale" | "launcher">;

/** Reads the script tag's `data-` attributes; the hosted page also takes `?locale=de&theme=dark` and so on. */
export function readSettings(script: HTMLScriptElement): Settings {
  return {
    project: "",
    theme: "auto",
    accent: DEFAULT_ACCENT,
    position: "end",
    locale: "",
    storage: "tab",
    mode: "widget",
    launcher: "show",
    ...(script.dataset.mode === "page" && Object.fromEntries(new URLSearchParams(location.search))),
    ...script.dataset,
    server: new URL(script.src).origin,
  };
}

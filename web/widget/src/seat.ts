// What the loader hands to the app: the place on the page, and the settings both read.
import type { Settings } from "./settings.ts";

/** One `Deskbell(...)` call. */
export type Call = [name: string, ...args: unknown[]];

/** The widget's place on the page, made by the loader. */
export interface Seat {
  readonly host: HTMLElement;
  readonly root: ShadowRoot;
  /** The launcher; painted by the loader, kept up to date by the app. */
  readonly button: HTMLButtonElement;
  readonly settings: Settings;
  /** The launcher's name once the app knows better than the loader: unread messages, or that it closes the panel.
   * From then on the direction of the text is the app's business too. */
  label?: string;
  /** Shows settings and name on host and launcher again after they changed. */
  paint: () => void;
  /** Tells the page's listeners of an event. */
  emit(event: string, detail?: unknown): void;
}

/** What the app answers: it takes every further call of the page. */
export type App = (call: Call) => void;

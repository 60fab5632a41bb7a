// The widget's state and what a visitor can do, without a pixel. Every change ends in one call of `changed`; the app then
// draws all that shows, from the top.
import type { Conversation } from "@deskbell/client";
import { Visitor } from "@deskbell/client/visitor";
import { english, loadLanguage, matchLocale, type Language } from "../i18n/index.ts";
import type { Later } from "../later/later.tsx";
import type { Seat } from "../seat.ts";
import { Draft } from "./draft.ts";
import { openKeep } from "./keep.ts";
import { pageOf } from "./page.ts";

// A conversation that ended longer ago than this is not what a visitor comes back to, ms.
const FRESH_MS = 24 * 60 * 60 * 1000;
// When the second half of the app could not be fetched: the time until the next try.
const AGAIN_MS = 3000;
// As long as the leaving animation in panel.css.
const LEAVE_MS = 140;

/** One widget on one page. */
export class Chat {
  readonly seat: Seat;
  readonly visitor: Visitor;
  readonly keep: ReturnType<typeof openKeep>;
  readonly draft: Draft;
  language: Language = english;
  open = false;
  /** Closed, but still on its way out. */
  leaving = false;
  /** The list of conversations is shown instead of one. */
  previous = false;
  /** The visitor is asked whether to end the conversation. */
  asksToClose = false;
  /** Focus goes to the composer as soon as it is there. */
  wantsFocus = false;
  /** All that only a conversation needs: thread, rating, list, menu. */
  later: Later | undefined;
  /** Settles once the server knows whom the site named; what the site sends after that is that person's. */
  identified: Promise<void> = Promise.resolve();
  /** What stands over the composer and is sent along with a first message; undefined: something is wrong with it. */
  fields: () => Record<string, string> | undefined = () => ({});
  /** Runs when the widget goes. */
  readonly leave: (() => void)[] = [];
  readonly #draw: () => void;
  #due = false;
  #fetching = false;
  // The conversation that was chosen; null: a new one; undefined: whichever is current.
  #chosen: string | null | undefined;

  constructor(seat: Seat, draw: () => void) {
    const { server, project, storage } = seat.settings;
    this.seat = seat;
    this.#draw = draw;
    this.visitor = new Visitor({ server, project, storage });
    this.keep = openKeep(seat.settings);
    this.draft = new Draft(this.keep);
    const { status, profile, presence, conversations, notice, unread } = this.visitor;
    const changed = () => this.changed();
    for (const value of [status, profile, presence, conversations, notice, unread]) value.subscribe(changed);
  }

  /** Draws soon; many changes at once are drawn together. */
  changed(): void {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      this.#draw();
    });
  }

  /** Comes up by itself for a visitor who chatted before; for others nothing is asked of the server yet. */
  async start(): Promise<void> {
    this.visitor.page(pageOf(document));
    await this.setLanguage();
    if (!this.visitor.remembers()) return;
    this.visitor.start();
    // It comes back by itself after a page change: focus stays where the page has it.
    if (this.keep.get("open") && this.seat.settings.mode === "widget" && !isPhone()) this.show(false);
  }

  show(takesFocus = true): void {
    if (takesFocus) this.takeFocus();
    if (this.open) return;
    this.visitor.start();
    this.open = true;
    if (this.visitor.remembers()) this.keep.set("open", "yes");
    this.changed();
    this.seat.emit("open");
  }

  hide(): void {
    if (!this.open) return;
    // A page of its own stays; where it is framed, the frame hears of it.
    if (this.seat.settings.mode === "page") return this.seat.emit("close");
    const { root, button } = this.seat;
    const had = root.activeElement;
    this.open = this.previous = this.wantsFocus = false;
    this.leaving = true;
    setTimeout(() => {
      this.leaving = false;
      this.changed();
    }, LEAVE_MS);
    this.keep.set("open", undefined);
    this.changed();
    // After drawing: on a phone the launcher is hidden until then.
    if (had) queueMicrotask(() => button.focus({ preventScroll: true }));
    this.seat.emit("close");
  }

  /** Moves focus to the composer, now or as soon as it is there. */
  takeFocus(): void {
    this.wantsFocus = true;
    this.changed();
  }

  /** The conversation to show, if there is one: what was chosen, else the newest that is still going on. */
  current(): string | undefined {
    if (this.#chosen !== undefined) return this.#chosen ?? undefined;
    const newest = this.visitor.conversations.getSnapshot()[0];
    const conversation = newest && this.visitor.conversation(newest).getSnapshot();
    if (!conversation) return undefined;
    const at = conversation.thread.entries.at(-1)?.at ?? Date.now();
    return conversation.status === "open" || Date.now() - at < FRESH_MS ? newest : undefined;
  }

  /** Shows a conversation, or with null the beginning of a new one. */
  choose(id: string | null): void {
    this.#chosen = id;
    this.previous = false;
    this.takeFocus();
  }

  /** The visitor writes: a first message is stayed with, whatever arrives from another tab. */
  write(text: string): void {
    const conversation = this.conversation();
    this.draft.set(text);
    if (conversation) this.visitor.typing(conversation.id, text !== "", this.peeks() ? text : undefined);
    else if (text) this.#chosen = null;
    void this.fetchLater();
    this.changed();
  }

  /** Sends into the conversation that is shown, or opens one. False: something has to be corrected first. */
  send(text: string): boolean {
    const id = this.current();
    if (id) {
      this.visitor.send(id, text);
      return true;
    }
    const fields = this.fields();
    if (!fields) return false;
    this.visitor.start();
    this.#chosen = this.visitor.open(text, { fields, page: pageOf(document) }).conversation;
    if (this.open) this.keep.set("open", "yes");
    return true;
  }

  /** The state of the conversation that is shown. */
  conversation(): Conversation | undefined {
    const id = this.current();
    return id ? this.visitor.conversation(id).getSnapshot() : undefined;
  }

  /** Does the team see the draft? */
  peeks(): boolean | undefined {
    return this.visitor.profile.getSnapshot()?.project.sneak_peek;
  }

  /** Is nobody at the desk, as far as is known? */
  away(): boolean {
    const presence = this.visitor.presence.getSnapshot();
    return (presence ? presence.online > 0 : this.visitor.profile.getSnapshot()?.project.online) === false;
  }

  /** Fetches what only a conversation needs, once there is a reason to. */
  async fetchLater(): Promise<void> {
    if (this.#fetching) return;
    this.#fetching = true;
    try {
      this.later = await import("../later/later.tsx");
      this.later.begin(this);
      this.changed();
    } catch {
      this.#fetching = false;
      setTimeout(() => this.fetchLater(), AGAIN_MS);
    }
  }

  async setLanguage(): Promise<void> {
    const { locale, mode } = this.seat.settings;
    const tag = matchLocale([locale, document.documentElement.lang, ...navigator.languages]);
    // A page says "en" to readers everywhere; how they write times and dates, their browser knows.
    this.language = await loadLanguage(navigator.languages.find((own) => own.startsWith(`${tag}-`)) ?? tag);
    if (mode === "page") document.documentElement.lang = this.language.tag;
    this.changed();
  }
}

/** Is the window so narrow that the panel fills it? */
export function isPhone(): boolean {
  return matchMedia("(max-width: 480px)").matches;
}

// The page's calls: `Deskbell('open')` and the rest. A call that makes no sense is told to the site's developer, not thrown.
import type { Call } from "../seat.ts";
import type { LiveSettings } from "../settings.ts";
import type { Chat } from "./chat.ts";

/** Carries out one call. */
export function carryOut(chat: Chat, [name, value]: Call): void {
  const given = (value ?? {}) as Partial<LiveSettings> & { draft?: string; token?: string };
  switch (name) {
    case "open":
      if (given.draft && !chat.draft.text.trim()) chat.write(given.draft);
      return chat.show();
    case "close":
      return chat.hide();
    case "toggle":
      return chat.open ? chat.hide() : chat.show();
    case "send":
      return void chat.identified.then(() => chat.send(String(value)));
    case "identify":
      return void (chat.identified = chat.visitor.identify(given.token ?? null).catch(({ message }: Error) => console.warn(`Deskbell: ${message}`)));
    case "locale":
      return carryOut(chat, ["set", { locale: value }]);
    case "set":
      Object.assign(chat.seat.settings, given);
      return void chat.setLanguage();
    default:
      console.warn(`Deskbell: there is no "${name}"`);
  }
}

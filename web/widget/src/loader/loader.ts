// The only script a site embeds. It paints the launcher, remembers what the page says, and fetches the app when a visitor
// turns to it. Until then: no request, no socket, nothing stored.
import type { App, Call, Seat } from "../seat.ts";
import { readSettings } from "../settings.ts";
import { makeLauncher, paintSeat } from "./paint.ts";
import { remembers } from "./remembers.ts";

// Paths of the entry chunks, put in when the loader is built.
declare const __APP__: string;
declare const __FRAME__: string;

type Api = { (...call: Call): void; q?: ArrayLike<unknown>[]; seat?: Seat };
type Listener = (detail: unknown) => void;

const page = window as unknown as { Deskbell?: Api };
const script = document.currentScript as HTMLScriptElement;

function start(): void {
  const settings = readSettings(script);
  const host = document.createElement("deskbell-chat");
  const button = document.createElement("button");
  const listeners: Record<string, Set<Listener>> = {};
  const waiting: Call[] = [];
  let app: App | undefined;
  let loading: Promise<void> | undefined;

  const seat: Seat = {
    host,
    root: host.attachShadow({ mode: "open" }),
    button,
    settings,
    paint: () => paintSeat(seat),
    emit: (event, detail) => listeners[event]?.forEach((tell) => tell(detail)),
  };

  const load = () =>
    (loading ??= import(/* @vite-ignore */ new URL(settings.mode === "frame" ? __FRAME__ : __APP__, script.src).href).then(
      (entry: { start(seat: Seat): App }) => {
        app = entry.start(seat);
        waiting.forEach(app);
      },
      // The next hover or click tries again.
      () => (loading = undefined),
    ));

  const run = (...call: Call): void => {
    const [name, value, listener] = call;
    const event = value as string;
    if (name === "on") (listeners[event] ??= new Set()).add(listener as Listener);
    else if (name === "off") listeners[event]?.delete(listener as Listener);
    else {
      if (name === "destroy") delete page.Deskbell;
      if (app) return app(call);
      if (name === "destroy") return host.remove();
      if (name === "set") Object.assign(settings, value);
      if (name === "locale") settings.locale = event;
      seat.paint();
      waiting.push(call);
      if (/^(open|toggle|send)$/.test(name)) void load();
    }
  };

  const queued = page.Deskbell?.q ?? [];
  page.Deskbell = Object.assign(run, { seat });
  makeLauncher(seat);
  seat.paint();
  document.body.append(host);
  for (const call of queued as Call[]) run(...call);
  button.onclick = () => run("toggle");
  button.onpointerenter = button.onfocus = load;
  seat.emit("ready");
  if (settings.mode === "page") run("open");
  else if (remembers(settings)) (window.requestIdleCallback ?? setTimeout)(load);
}

// A site that swaps its body runs the script again: the launcher goes with it.
const seat = page.Deskbell?.seat;
if (seat) document.body.append(seat.host);
else if (document.body) start();
else addEventListener("DOMContentLoaded", start);

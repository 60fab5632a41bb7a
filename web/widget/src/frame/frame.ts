// `data-mode="frame"`: the hosted page in a frame, for sites that let no foreign code near their own. The launcher stays
// outside; calls go in and events come out as messages. The frame is not fetched before it is opened.
import frameCss from "../style/frame.css?inline";
import type { App, Call, Seat } from "../seat.ts";

/** What crosses: a call inwards, an event outwards. */
export type Crossing = { readonly deskbell: readonly [name: string, value?: unknown] };

/** Takes the seat over from the loader, as the app does. */
export function start(seat: Seat): App {
  const { host, button, settings } = seat;
  const { frame, badge } = furnish(seat);
  let open = false;
  let ready = false;
  let waiting: Call[] = [];

  const pass = (call: Call) => {
    if (ready) frame.contentWindow!.postMessage({ deskbell: call }, settings.server);
    else waiting.push(call);
  };
  const show = (now: boolean) => {
    if (now === open) return;
    open = now;
    frame.src ||= addressOf(seat);
    frame.hidden = !open;
    button.ariaExpanded = String(open);
    host.toggleAttribute("data-open", open);
    (open ? frame : button).focus();
    pass([open ? "open" : "close"]);
    seat.emit(open ? "open" : "close");
  };
  const hear: Record<string, (value: unknown) => void> = {
    ready() {
      ready = true;
      waiting.forEach(pass);
      waiting = [];
    },
    close: () => show(false),
    label(name) {
      seat.label = String(name);
      seat.paint();
    },
    unread(number) {
      badge.textContent = String(number);
      badge.hidden = !number;
      seat.emit("unread", number);
    },
    message: (message) => seat.emit("message", message),
  };
  const listen = ({ source, origin, data }: MessageEvent<Partial<Crossing>>) => {
    if (source !== frame.contentWindow || origin !== settings.server || !data.deskbell) return;
    const [event, value] = data.deskbell;
    if (Object.hasOwn(hear, event)) hear[event]!(value);
  };
  addEventListener("message", listen);

  return (call: Call) => {
    const [name, value] = call;
    if (name === "open") show(true);
    else if (name === "close") show(false);
    else if (name === "toggle") show(!open);
    else if (name === "destroy") {
      removeEventListener("message", listen);
      host.remove();
    } else {
      Object.assign(settings, name === "set" ? value : name === "locale" && { locale: value });
      seat.paint();
      pass(call);
    }
  };
}

function furnish({ root, button }: Seat) {
  const frame = document.createElement("iframe");
  const badge = document.createElement("span");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(frameCss);
  root.adoptedStyleSheets.push(sheet);
  frame.hidden = true;
  frame.title = button.ariaLabel!;
  badge.className = "badge";
  badge.ariaHidden = "true";
  badge.hidden = true;
  root.prepend(frame);
  button.append(badge);
  return { frame, badge };
}

function addressOf({ settings }: Seat): string {
  const { server, project, storage, theme, accent, locale } = settings;
  return `${server}/chat/${project}?${new URLSearchParams({ storage, theme, accent, locale })}`;
}

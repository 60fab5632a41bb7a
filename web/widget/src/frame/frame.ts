// `data-mode="frame"`: the hosted page in a frame, for sites that let no foreign code near their own. The launcher stays
// outside; calls go in and events come out as messages. The frame is not fetched before it is opened.
import frameCss from "../style/frame.css?inline";
import type { App, Call, Seat } from "../seat.ts";

/** What crosses: a call inwards, an event outwards. */
export type Crossing = { readonly deskbell: readonly [name: string, value?: unknown] };

/** Takes the seat over from the loader, as the app does. */
export function start(seat: Seat): App {
  const { host, root, button, settings } = seat;
  const { project, server, storage, theme, accent, locale } = settings;
  const frame = document.createElement("iframe");
  const badge = document.createElement("span");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(frameCss);
  root.adoptedStyleSheets.push(sheet);
  badge.className = "badge";
  badge.ariaHidden = "true";
  badge.hidden = true;
  button.append(badge);
  frame.hidden = true;
  frame.title = button.ariaLabel!;
  root.prepend(frame);
  let open = false;
  let ready = false;
  let waiting: Call[] = [];

  const pass = (call: Call) => {
    if (ready) frame.contentWindow!.postMessage({ deskbell: call }, server);
    else waiting.push(call);
  };
  const show = (now: boolean) => {
    if (now === open) return;
    open = now;
    frame.src ||= `${server}/chat/${project}?${new URLSearchParams({ storage, theme, accent, locale })}`;
    frame.hidden = !open;
    button.ariaExpanded = String(open);
    host.toggleAttribute("data-open", open);
    (open ? frame : button).focus();
    pass([open ? "open" : "close"]);
    seat.emit(open ? "open" : "close");
  };
  const tell: Record<string, (value: unknown) => void> = {
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
    if (source !== frame.contentWindow || origin !== server || !data.deskbell) return;
    const [event, value] = data.deskbell;
    tell[event]?.(value);
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

// `data-mode="frame"`: the hosted page in a frame, for sites that let no foreign code near their own. The launcher stays
// outside; calls and events cross by messages.
import frameCss from "../style/frame.css?inline";
import type { App, Call, Seat } from "../seat.ts";

/** What crosses: a call inwards, an event outwards. */
export type Crossing = { readonly deskbell: readonly [name: string, value?: unknown] };

/** Takes the seat over from the loader, as the app does. */
export function start(seat: Seat): App {
  const { host, root, button, settings } = seat;
  const { project, server, storage, theme, accent, locale } = settings;
  const frame = document.createElement("iframe");
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(frameCss);
  root.adoptedStyleSheets.push(sheet);
  frame.hidden = true;
  frame.title = button.ariaLabel!;
  frame.src = `${server}/chat/${project}?${new URLSearchParams({ storage, theme, accent, locale })}`;
  root.prepend(frame);

  const show = (open: boolean) => {
    if (frame.hidden !== open) return;
    frame.hidden = !open;
    button.ariaExpanded = String(open);
    host.toggleAttribute("data-open", open);
    if (open) frame.focus();
    else button.focus();
    seat.emit(open ? "open" : "close");
  };
  const pass = (call: readonly unknown[]) => frame.contentWindow?.postMessage({ deskbell: call }, server);
  const listen = ({ source, origin, data }: MessageEvent<Partial<Crossing>>) => {
    if (source !== frame.contentWindow || origin !== server || !data.deskbell) return;
    const [event, value] = data.deskbell;
    if (event === "close") show(false);
    else seat.emit(event, value);
  };
  addEventListener("message", listen);

  return (call: Call) => {
    const [name, value] = call;
    if (name === "open" || name === "close") show(name === "open");
    else if (name === "toggle") show(frame.hasAttribute("hidden"));
    else if (name === "destroy") {
      removeEventListener("message", listen);
      return host.remove();
    } else if (name === "set") {
      Object.assign(settings, value);
      seat.paint();
    }
    pass(call);
  };
}

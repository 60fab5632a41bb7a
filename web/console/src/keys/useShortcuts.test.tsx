import { startTransition, useState } from "react";
import { createRoot } from "react-dom/client";
import { expect, it } from "vitest";
import { useShortcuts } from "./useShortcuts.ts";

it("acts on what is shown, however soon after it was shown a key is pressed", async () => {
  const closed: string[] = [];
  let show: (id: string) => void = () => undefined;
  function Thread() {
    const [id, setId] = useState("first");
    show = (next) => startTransition(() => setId(next));
    useShortcuts({ closeAndNext: () => closed.push(id) });
    return <h1>{id}</h1>;
  }
  const host = document.body.appendChild(document.createElement("div"));
  const root = createRoot(host);
  root.render(<Thread />);
  await text(host, "first");
  await new Promise((done) => setTimeout(done));
  show("second");
  await text(host, "second");
  document.dispatchEvent(new KeyboardEvent("keydown", { key: "e", code: "KeyE", bubbles: true }));
  expect(closed).toEqual(["second"]);
  root.unmount();
});

/** Settles in the moment in which the page says so, before anything else has its turn. */
function text(host: HTMLElement, wanted: string): Promise<void> {
  return new Promise((done) => {
    const look = (): void => {
      if (host.textContent === wanted) done();
    };
    new MutationObserver(look).observe(host, { childList: true, characterData: true, subtree: true });
    look();
  });
}

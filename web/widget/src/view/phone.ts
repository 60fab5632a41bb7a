// What a panel that fills a phone needs: room for the keyboard, and focus that stays inside.

/** Tends the open panel until it is gone. */
export function fill(root: ShadowRoot): void {
  const panel = root.querySelector<HTMLElement>(".panel");
  if (!panel) return;
  panel.addEventListener("keydown", (event) => event.key === "Tab" && goRound(event, panel, root.activeElement));
  const view = window.visualViewport;
  const follow = () => {
    if (!panel.isConnected) {
      view?.removeEventListener("resize", follow);
      view?.removeEventListener("scroll", follow);
      return;
    }
    panel.style.setProperty("--view-top", `${view?.offsetTop ?? 0}px`);
    panel.style.setProperty("--view-height", `${view?.height ?? innerHeight}px`);
  };
  follow();
  view?.addEventListener("resize", follow);
  view?.addEventListener("scroll", follow);
}

// Tab stays inside: what lies under the panel can't be seen.
function goRound(event: KeyboardEvent, panel: HTMLElement, current: Element | null): void {
  const stops = [...panel.querySelectorAll<HTMLElement>("button, a[href], input, textarea, [tabindex='0']")].filter(
    (element) => !element.matches(":disabled") && element.getClientRects().length > 0,
  );
  const [first, last] = [stops[0], stops.at(-1)];
  if (current !== (event.shiftKey ? first : last)) return;
  event.preventDefault();
  (event.shiftKey ? last : first)?.focus();
}

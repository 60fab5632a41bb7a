/** Notices that are on the screen, by conversation: a newer one takes the place of the older. */
const shown = new Map<string, Notification>();

/** What the browser says about notifications; `denied` also where it knows none. */
export function noticesAllowed(): NotificationPermission {
  return typeof Notification === "undefined" ? "denied" : Notification.permission;
}

/** Asks the person; must be called from a press. */
export async function askToNotify(): Promise<boolean> {
  if (noticesAllowed() === "default") await Notification.requestPermission();
  return noticesAllowed() === "granted";
}

/** Shows a notice about a conversation; a press on it leads there. */
export function notify(conversation: string, title: string, body: string, open: () => void): void {
  if (noticesAllowed() !== "granted") return;
  try {
    const notice = new Notification(title, { body, tag: conversation, silent: true });
    notice.onclick = () => {
      window.focus();
      open();
      notice.close();
    };
    notice.onclose = () => {
      if (shown.get(conversation) === notice) shown.delete(conversation);
    };
    shown.set(conversation, notice);
  } catch {
    // Chrome on Android only lets service workers notify; the sound and the title still tell.
  }
}

/** Takes the notice of a conversation away, because it was read here or elsewhere. */
export function withdraw(conversation: string): void {
  shown.get(conversation)?.close();
  shown.delete(conversation);
}

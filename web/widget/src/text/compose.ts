// What may be sent: the limits of the wire, applied before the server has to.

/** The longest message, in Unicode characters after NFC. */
export const MAX_CHARACTERS = 8000;

/** A draft as it would be sent: NFC, plain line ends, none of the control characters that the wire refuses. */
export function toMessage(draft: string): string {
  return draft
    .normalize("NFC")
    .replace(/\r\n?/g, "\n")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "")
    .trim();
}

/** How many characters a message still has room for; negative when it is too long. */
export function roomLeft(message: string): number {
  // A string of n units has at most n characters: most drafts need no counting.
  return message.length <= MAX_CHARACTERS / 2 ? MAX_CHARACTERS - message.length : MAX_CHARACTERS - [...message].length;
}

/** Is this Enter meant to send? Not while an input method is composing (229 is how older browsers tell), not with Shift. */
export function isSendKey(event: Pick<KeyboardEvent, "key" | "shiftKey" | "isComposing" | "keyCode">): boolean {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229;
}

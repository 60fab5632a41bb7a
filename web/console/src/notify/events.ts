import type { Head } from "@deskbell/client";

/** What calls for an agent: a chat that is new to them, or a new message in one of theirs. */
export type Ring = "chat" | "message";

/** What was known of a conversation when it last changed. */
export type Known = Pick<Head, "at">;

/** Decides whether a change of a head calls for the agent. Only heads that are theirs or nobody's come here. */
export function ringOf(before: Known | undefined, head: Head): Ring | null {
  if (head.status !== "open") return null;
  if (before === undefined) return "chat";
  // `at` is the time of the newest message; while the visitor waits, that one is theirs.
  return head.at > before.at && head.waiting_since !== null ? "message" : null;
}

/** The number in the tab's title: conversations with something unread, each once, and those that nobody has. */
export function attention(mine: readonly (Head | undefined)[], unassigned: number): number {
  return mine.filter((head) => head !== undefined && head.unread > 0).length + unassigned;
}

// What happens when a message arrives: the sound, the page's listeners, the words for screen readers.
import { h } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Chat } from "../chat/chat.ts";
import { ring } from "./sound.ts";

// Messages that follow each other faster are announced, and rung for, together.
const BURST_MS = 600;
// Long enough to be spoken, short enough not to be found later by someone who reads the page.
const SPOKEN_MS = 10_000;

/** The region that a screen reader speaks from: messages as they arrive, nothing else, open or closed. */
export function Announcements({ chat }: { chat: Chat }) {
  const [words, setWords] = useState("");
  useEffect(() => followArrivals(chat, setWords), []);
  useEffect(() => {
    const timer = words && setTimeout(() => setWords(""), SPOKEN_MS);
    return () => clearTimeout(timer || undefined);
  }, [words]);
  return (
    <div class="unseen" role="status" aria-live="polite" data-testid="announcements">
      {words}
    </div>
  );
}

function followArrivals(chat: Chat, say: (words: string) => void): () => void {
  const { visitor, seat, keep } = chat;
  let burst: string[] = [];
  return visitor.onArrival(({ conversation, entry, own, live }) => {
    if (own || !live || entry.event !== "message") return;
    const { t } = chat.language;
    const { text } = entry.body;
    seat.emit("message", { conversation, text, from: entry.from.name, at: entry.at });
    burst.push(t("announce.message", { name: entry.from.name ?? t("message.agent"), text }));
    if (burst.length > 1) return;
    setTimeout(() => {
      say(burst.join("\n"));
      burst = [];
      // By now a tab that shows the conversation has marked it as read.
      const unseen = visitor.conversation(conversation).getSnapshot()?.unread;
      if (unseen && keep.get("sound") !== "off" && visitor.leader.getSnapshot()) ring();
    }, BURST_MS);
  });
}

import { useAnnouncement } from "./announce.ts";

/** The one polite live region; arriving messages are read from here, not from the thread. */
export function Announcer() {
  const text = useAnnouncement((store) => store.text);
  return (
    <div className="visually-hidden" role="status" aria-live="polite">
      {text}
    </div>
  );
}

import { create } from "zustand";
import { useSettings } from "../settings/settings.ts";
import type { Ring } from "./events.ts";

interface SoundStore {
  /** The browser refused to make a sound because nobody has touched this page yet. */
  readonly blocked: boolean;
}

/** Whether a sound was refused. */
export const useSound = create<SoundStore>()(() => ({ blocked: false }));

/** Partials of each sound: Hz, start and length in seconds, loudness. A chat rings twice, a message ticks once. */
const TONES: Record<Ring, readonly (readonly [number, number, number, number])[]> = {
  chat: [
    [1318.5, 0, 0.9, 0.16],
    [2637, 0, 0.5, 0.05],
    [1760, 0.16, 1.1, 0.14],
    [3520, 0.16, 0.5, 0.04],
  ],
  message: [
    [880, 0, 0.16, 0.1],
    [1174.7, 0.05, 0.22, 0.08],
  ],
};

let context: AudioContext | undefined;

/** Makes a sound, or notes that the browser would not let it. */
export function play(ring: Ring): void {
  if (!useSettings.getState().sounds || typeof AudioContext === "undefined") return;
  context ??= new AudioContext();
  const now = context;
  void now.resume().catch(() => undefined);
  if (now.state === "running") return sound(now, ring);
  // resume() stays pending while it is refused; a page that may play is running a moment later.
  setTimeout(() => {
    if (now.state === "running") sound(now, ring);
    else useSound.setState({ blocked: true });
  }, 150);
}

/** Called from a press, which is what browsers wait for. */
export async function allowSound(): Promise<void> {
  context ??= new AudioContext();
  await context.resume();
  useSound.setState({ blocked: false });
  play("message");
}

function sound(audio: AudioContext, ring: Ring): void {
  if (useSound.getState().blocked) useSound.setState({ blocked: false });
  for (const [hz, start, length, loudness] of TONES[ring]) {
    const at = audio.currentTime + start;
    const tone = audio.createOscillator();
    const gain = audio.createGain();
    tone.frequency.value = hz;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(loudness, at + 0.006);
    gain.gain.exponentialRampToValueAtTime(0.0001, at + length);
    tone.connect(gain).connect(audio.destination);
    tone.start(at);
    tone.stop(at + length);
  }
}

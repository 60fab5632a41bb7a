// One soft bell for what arrives unseen. Two sine partials with a quick decay: no file to fetch, nothing for a CSP to refuse.

const PARTIALS = [
  { hz: 1046.5, gain: 0.09 },
  { hz: 2637, gain: 0.035 },
];
const DECAY_S = 0.9;
let context: AudioContext | undefined;

/** Rings once. Before the visitor has touched the page browsers allow no sound; then this does nothing. */
export function ring(): void {
  if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return;
  try {
    context ??= new AudioContext();
    void context.resume();
    const now = context.currentTime;
    for (const { hz, gain } of PARTIALS) {
      const tone = new OscillatorNode(context, { frequency: hz });
      const volume = new GainNode(context, { gain: 0 });
      volume.gain.setValueAtTime(0, now);
      volume.gain.linearRampToValueAtTime(gain, now + 0.008);
      volume.gain.exponentialRampToValueAtTime(0.0001, now + DECAY_S);
      tone.connect(volume).connect(context.destination);
      tone.start(now);
      tone.stop(now + DECAY_S);
    }
  } catch {
    // No audio device, or audio refused by policy.
  }
}

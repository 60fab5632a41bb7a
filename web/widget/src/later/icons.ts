// The drawings that only a conversation needs.
const CIRCLE = "M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18";

/** Paths on a square of 24 units. */
export const ICONS = {
  back: "M15 5l-7 7 7 7",
  down: "M6 9.5l6 6 6-6",
  end: `M9 12l2 2 4-4.5${CIRCLE}`,
  failed: `M12 7.5v5.5M12 16.5v.01${CIRCLE}`,
  list: `M12 7v5l3 2${CIRCLE}`,
  mute: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5",
  plus: "M12 5v14M5 12h14",
  delivered: "M2 12.5l4.5 4.5L14 8.5M11.5 16l1.5 1.5L22 7.5",
  read: "M2 12s3.5-6.5 10-6.5S22 12 22 12s-3.5 6.5-10 6.5S2 12 2 12M12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6",
  sending: `M12 7v5l2.5 1.5${CIRCLE}`,
  sent: "M5 12.5l4.5 4.5L19 7.5",
  sound: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4.5 4.5 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
  star: "M12 3.5l2.6 5.4 5.9.8-4.3 4.1 1 5.9L12 16.9l-5.2 2.8 1-5.9L3.5 9.7l5.9-.8z",
} as const;

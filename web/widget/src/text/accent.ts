// The little about colours that the loader has to know.

/** Is this `#rrggbb`? */
export function isHex(color: string): boolean {
  return /^#[\da-f]{6}$/i.test(color);
}

/**
 * Is white the text colour for this accent? White reaches a contrast of 4.5 up to a relative luminance of
 * 1.05 / 4.5 - 0.05 = 0.183, black from 4.5 * 0.05 - 0.05 = 0.175 on: in between both do. The straight piece that sRGB
 * has for very dark channels is left out; it would change the sum by less than 0.001.
 */
export function wantsWhite(hex: string): boolean {
  const [r, g, b] = hex.match(/\w\w/g)!.map((pair) => ((parseInt(pair, 16) / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b! < 0.179;
}

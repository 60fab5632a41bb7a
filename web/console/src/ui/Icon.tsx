import { ICONS, type IconName } from "./icons.ts";
import css from "./Icon.module.css";

/** A small line drawing beside a text. It is never the only carrier of a meaning, so it is hidden from screen readers. */
export function Icon({ name, size = 16, mirrored = false }: { name: IconName; size?: number; mirrored?: boolean }) {
  // In rem, so that it grows with the text.
  const length = `${size / 16}rem`;
  return (
    <svg className={mirrored ? `${css.icon} ${css.mirrored}` : css.icon} viewBox="0 0 16 16" width={length} height={length} aria-hidden="true">
      {ICONS[name].map((path) => (
        <path key={path} d={path} />
      ))}
    </svg>
  );
}

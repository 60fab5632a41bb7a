import { h } from "preact";

/** A drawing of one line weight, as large as the text that it stands in, and silent. `name` tells style sheets which. */
export function Icon({ path, name }: { path: string; name?: string }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" data-icon={name}>
      <path d={path} />
    </svg>
  );
}

/** A desk bell: the mark of whoever has no face yet. */
export const BELL = "M4 17a8 8 0 0 1 16 0zM3 20.5h18M12 6v3M9.5 5.5h5";
export const CLOSE = "M6 6l12 12M18 6L6 18";
export const MORE = "M5.5 12h.01M12 12h.01M18.5 12h.01";
export const SEND = "M12 19.5V5M5.5 11.5L12 5l6.5 6.5";

import { Fragment, h } from "preact";
import { linkify } from "./linkify.ts";

/** A message's text: words, and links that lead away safely. */
export function Text({ text, newTab }: { text: string; newTab: string }) {
  return (
    <>
      {linkify(text).map(({ text: label, href }) =>
        href ? (
          <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={newTab}>
            {label}
          </a>
        ) : (
          label
        ),
      )}
    </>
  );
}

import { partsOf } from "./links.ts";
import css from "./GroupView.module.css";

/** The text of a message, with its addresses as links. Only text nodes and links: a message can't become markup. */
export function Text({ text }: { text: string }) {
  return (
    <p className={css.text} dir="auto">
      {partsOf(text).map((part, index) =>
        part.href === undefined ? (
          part.text
        ) : (
          <a key={index} href={part.href} target="_blank" rel="noopener noreferrer nofollow">
            {part.text}
          </a>
        ),
      )}
    </p>
  );
}

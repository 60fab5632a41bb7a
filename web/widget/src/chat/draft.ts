import type { Keep } from "./keep.ts";

/** What stands in the composer. Each conversation has its own, kept where the site allows. */
export class Draft {
  text: string;
  readonly #keep: Keep;
  #slot: string | undefined;
  #name = "draft:new";

  constructor(keep: Keep) {
    this.#keep = keep;
    this.text = keep.get(this.#name) ?? "";
  }

  /** Goes to the draft of a conversation; `slot` stays the same while its `id` goes from local to the server's. */
  follow(slot: string | undefined, id: string | undefined): void {
    const name = `draft:${id ?? "new"}`;
    if (slot !== this.#slot) this.text = this.#keep.get(name) ?? "";
    else if (name !== this.#name) {
      this.#keep.set(this.#name, undefined);
      this.#keep.set(name, this.text);
    }
    this.#slot = slot;
    this.#name = name;
  }

  set(text: string): void {
    this.text = text;
    this.#keep.set(this.#name, text);
  }
}

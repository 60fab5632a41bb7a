/** Types of wire and state, and what both kinds of session share. */
export type * from "./wire.ts";
export type * from "./state.ts";
export { DeskbellError } from "./errors.ts";
export { createKey } from "./keys.ts";

/** A random key. `crypto.randomUUID` is missing on plain http outside localhost, `getRandomValues` is not. */
export function createKey(): string {
  return crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

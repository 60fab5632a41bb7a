/** Why a command was refused or could not be asked. `message` is for people, `code` for programs. */
export class DeskbellError extends Error {
  readonly code: string;
  /** Present when the same command may be asked again unchanged: after this many ms. */
  readonly retryMs: number | undefined;

  constructor(code: string, message: string, retryMs?: number) {
    super(message);
    this.name = "DeskbellError";
    this.code = code;
    this.retryMs = retryMs;
  }

  get retryable(): boolean {
    return this.retryMs !== undefined;
  }
}

/** A read that was asked for without a connection, or was cut off by losing it. */
export const offline = () => new DeskbellError("offline", "no connection", 0);

import { DeskbellError } from "./errors.ts";
import type { Problem } from "./wire.ts";

/** Turns an answer that is not a success into the error that its problem document describes. */
async function failure(response: Response): Promise<DeskbellError> {
  const problem = (await response.json().catch(() => null)) as Partial<Problem> | null;
  // Not from this server, but from something in front of it: that may pass.
  if (!problem?.code) return new DeskbellError("unavailable", `HTTP ${response.status}`, 0);
  const seconds = problem.retry_after_s ?? (response.status >= 500 || response.status === 429 ? 1 : undefined);
  const retryMs = seconds === undefined ? undefined : seconds * 1_000;
  return new DeskbellError(problem.code, problem.detail ?? problem.code, retryMs);
}

/** Posts JSON; resolves with the answer's JSON, or with nothing for 204. Rejects with a `DeskbellError`. */
export async function post<T>(fetching: typeof fetch, url: string, body: object | undefined, credentials: RequestCredentials): Promise<T> {
  let response: Response;
  try {
    const headers = body && { "content-type": "application/json" };
    response = await fetching(url, { method: "POST", credentials, cache: "no-store", ...(headers && { headers, body: JSON.stringify(body) }) });
  } catch {
    throw new DeskbellError("offline", "no connection", 0);
  }
  if (!response.ok) throw await failure(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

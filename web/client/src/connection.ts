/** One socket to the server and the road back to it: connect, heartbeat, token, close codes, backoff. */
import type { Browser } from "./browser.ts";
import { DeskbellError, offline } from "./errors.ts";
import { backoffMs, ending, type Ending } from "./policy.ts";
import type { Status, StopReason } from "./state.ts";
import { SUBPROTOCOL, type ConnectReply, type Frame, type ReadCommand, type ResumePosition, type Signal, type WriteCommand } from "./wire.ts";

export type Reply = Readonly<Record<string, unknown>>;
export type Command = ReadCommand | (WriteCommand & { readonly key: string }) | { readonly type: "refresh"; readonly token: string };

export interface ConnectionHost {
  readonly url: string;
  readonly client: { readonly name: string; readonly version: string };
  /** A fresh session token. A `DeskbellError` with one of the final codes stops the connection. */
  readonly getToken: () => Promise<string>;
  readonly resume: () => readonly ResumePosition[];
  readonly onStatus: (status: Status) => void;
  readonly onConnected: (reply: ConnectReply) => void;
  readonly onFrame: (frame: Frame) => void;
}

const BATCH = 16;
const OPENING_MS = 15_000;
/** Heartbeat (25 s) + this = 40 s of silence, after which the link is dead. */
const SILENCE_MARGIN_MS = 15_000;
/** A connection that lived this long was a good one: the next backoff starts anew. */
const STABLE_MS = 5_000;
/** A token with less left than this is not used for another connect. */
const TOKEN_MARGIN_MS = 30_000;
/** How long a token that no server has judged yet is trusted; tokens live for at least a minute. */
const UNPROVEN_TOKEN_MS = 30_000;
const FINAL_CODES: Readonly<Record<string, StopReason>> = { unauthorized: "unauthorized", forbidden: "forbidden", banned: "banned", not_found: "unknown_project" };

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: DeskbellError) => void;
}

export class Connection {
  readonly #host: ConnectionHost;
  readonly #browser: Browser;
  readonly #waiting = new Map<number, Waiting>();
  readonly #encoder = new TextEncoder();
  #status: Status = { state: "idle", since: Date.now() };
  #socket: WebSocket | null = null;
  /** Counts tries; whatever belongs to an earlier one is ignored. */
  #try = 0;
  #failures = 0;
  #lastId = 0;
  #lines: string[] = [];
  #token = { value: "", until: 0 };
  /** The server has taken this token once; when it refuses it later, a new one may still do. */
  #accepted = false;
  #heardAt = 0;
  #silenceMs = OPENING_MS;
  #windowMs = 5_000;
  #maxFrameBytes = 65_536;
  #notBefore = 0;
  #alarm: ReturnType<typeof setTimeout> | undefined;

  constructor(host: ConnectionHost, browser: Browser) {
    this.#host = host;
    this.#browser = browser;
  }

  get online(): boolean {
    return this.#status.state === "online";
  }

  /** Connects now; does nothing while it is connecting, online or waiting. */
  start(): void {
    if (this.#status.state !== "idle" && this.#status.state !== "stopped") return;
    this.#failures = 0;
    this.#notBefore = 0;
    void this.#connect();
  }

  /** Ends the connection for good; with a reason it shows as stopped, without as idle. */
  stop(reason?: StopReason): void {
    this.#drop();
    this.#show(reason ? { state: "stopped", reason } : { state: "idle" });
  }

  /** The token is not to be used again, e.g. because it names another person now. */
  forgetToken(): void {
    this.#token = { value: "", until: 0 };
  }

  /** The network or the person is back: do not wait any longer, and do not trust a socket that slept. */
  wake(): void {
    const { state } = this.#status;
    const now = Date.now();
    if (state === "waiting" && now >= this.#notBefore) void this.#connect();
    else if ((state === "online" || state === "connecting") && this.#silent()) this.#lost(1006);
  }

  /** The network went: do not wait for the silence to tell. If the server can be reached all the same, the next try finds it. */
  interrupt(): void {
    if (this.online) this.#lost(1006);
  }

  /** Too long since anything was heard; a clock that was set by more than that counts as such. */
  #silent(): boolean {
    return Math.abs(Date.now() - this.#heardAt) >= this.#silenceMs;
  }

  /** Resolves with the `ok`; rejects with the `error`, or as offline when the connection goes first. */
  request(command: Command): Promise<Reply> {
    if (!this.online) return Promise.reject(offline());
    return this.#ask(command);
  }

  /** Sends what needs no answer and is worth nothing later. */
  signal(signal: Signal): void {
    const line = JSON.stringify(signal);
    if (this.online && this.#fits(line)) this.#write(line);
  }

  async #connect(): Promise<void> {
    this.#drop();
    const attempt = ++this.#try;
    this.#heardAt = Date.now();
    this.#silenceMs = OPENING_MS;
    this.#show({ state: "connecting" });
    try {
      const token = await this.#currentToken();
      if (attempt === this.#try) this.#open(attempt, token);
    } catch (error) {
      if (attempt === this.#try) this.#refused(error);
    }
  }

  async #currentToken(): Promise<string> {
    if (this.#token.until <= Date.now()) {
      const value = await this.#host.getToken();
      this.#token = { value, until: Date.now() + UNPROVEN_TOKEN_MS };
      this.#accepted = false;
    }
    return this.#token.value;
  }

  #open(attempt: number, token: string): void {
    const socket = new this.#browser.WebSocket(this.#host.url, SUBPROTOCOL);
    this.#socket = socket;
    this.#heardAt = Date.now();
    this.#watchSilence(attempt);
    const mine = () => attempt === this.#try;
    socket.onopen = () => mine() && this.#greet(attempt, token);
    socket.onmessage = (event) => mine() && this.#receive(attempt, event.data);
    socket.onclose = (event) => mine() && this.#lost(event.code, event.reason);
  }

  #greet(attempt: number, token: string): void {
    const hello = { type: "connect", token, client: this.#host.client, resume: this.#host.resume() };
    this.#ask(hello).then(
      (reply) => attempt === this.#try && this.#welcome(reply as unknown as ConnectReply),
      (error: DeskbellError) => attempt === this.#try && this.#turnedAway(error),
    );
  }

  /** An error that says neither "later" nor "never" is followed by a close code that does. */
  #turnedAway(error: DeskbellError): void {
    if (error.code === "unauthorized") this.#lost(4501);
    else if (error.retryable || error.code in FINAL_CODES) this.#refused(error);
  }

  #welcome(reply: ConnectReply): void {
    this.#accepted = true;
    this.#silenceMs = reply.heartbeat_ms + SILENCE_MARGIN_MS;
    this.#windowMs = reply.reconnect_window_ms;
    this.#maxFrameBytes = reply.max_frame_bytes;
    this.#trustToken(reply.token_ttl_ms);
    this.#watchSilence(this.#try);
    // The positions count before anyone hears that the connection is there and starts to ask.
    this.#host.onConnected(reply);
    this.#show({ state: "online" });
  }

  #trustToken(ttlMs: number): void {
    this.#token = { value: this.#token.value, until: Date.now() + ttlMs - TOKEN_MARGIN_MS };
  }

  #receive(attempt: number, data: unknown): void {
    this.#heardAt = Date.now();
    let frames: Frame[];
    try {
      frames = String(data).split("\n").filter(Boolean).map((line) => JSON.parse(line) as Frame);
    } catch {
      // An answer may have been in there: only a new connection makes whole again.
      this.#lost(1007);
      return;
    }
    for (const frame of frames) if (attempt === this.#try) this.#take(frame);
  }

  #take(frame: Frame): void {
    if (frame.type === "ping") this.#write('{"type":"pong"}');
    else if (frame.type === "token_expiring") void this.#refresh();
    else if ((frame.type === "ok" || frame.type === "error") && frame.id !== undefined) this.#answer(frame);
    else this.#host.onFrame(frame);
  }

  #answer(frame: Extract<Frame, { type: "ok" | "error" }>): void {
    const waiting = this.#waiting.get(frame.id!);
    this.#waiting.delete(frame.id!);
    if (frame.type === "ok") waiting?.resolve(frame as Reply);
    else waiting?.reject(new DeskbellError(frame.code, frame.message, frame.retry_ms));
  }

  async #refresh(): Promise<void> {
    const attempt = this.#try;
    try {
      const token = await this.#host.getToken();
      if (attempt !== this.#try) return;
      const reply = await this.#ask({ type: "refresh", token });
      if (attempt !== this.#try) return;
      this.#token.value = token;
      this.#trustToken(reply["token_ttl_ms"] as number);
    } catch {
      // Then the server closes with 4004, and the way back begins with a new token.
    }
  }

  #ask(command: object): Promise<Reply> {
    const id = (this.#lastId = (this.#lastId % 0xffff_ffff) + 1);
    const line = JSON.stringify({ ...command, id });
    if (!this.#fits(line)) return Promise.reject(new DeskbellError("too_large", "too long to be sent"));
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#write(line);
    });
  }

  /** A longer frame would end the connection. */
  #fits(line: string): boolean {
    return this.#bytes(line) <= this.#maxFrameBytes;
  }

  #bytes(line: string): number {
    return this.#encoder.encode(line).length;
  }

  /** Lines of one turn of the event loop go out together. */
  #write(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > 1) return;
    const attempt = this.#try;
    queueMicrotask(() => attempt === this.#try && this.#flush());
  }

  #flush(): void {
    const lines = this.#lines;
    this.#lines = [];
    let frame: string[] = [];
    let bytes = 0;
    for (const line of lines) {
      const size = this.#bytes(line) + 1;
      if (frame.length === BATCH || (frame.length > 0 && bytes + size > this.#maxFrameBytes)) {
        this.#socket?.send(frame.join("\n"));
        frame = [];
        bytes = 0;
      }
      frame.push(line);
      bytes += size;
    }
    this.#socket?.send(frame.join("\n"));
  }

  #watchSilence(attempt: number): void {
    clearTimeout(this.#alarm);
    const left = Math.min(this.#silenceMs, this.#heardAt + this.#silenceMs - Date.now());
    this.#alarm = setTimeout(() => {
      if (attempt !== this.#try) return;
      if (this.#silent()) this.#lost(1006);
      else this.#watchSilence(attempt);
    }, Math.max(0, left));
  }

  /** The server, or whoever gives tokens, said no before the connection was there. */
  #refused(error: unknown): void {
    const known = error instanceof DeskbellError ? error : offline();
    const final = known.retryable ? undefined : FINAL_CODES[known.code];
    if (final) {
      this.forgetToken();
      this.stop(final);
    } else {
      this.#after({ then: "backoff", reason: known.code, atLeastMs: known.retryMs ?? 0 });
    }
  }

  #lost(code: number, reason = ""): void {
    const end = ending(code, reason);
    const unauthorized = end.then === "stop" && end.reason === "unauthorized";
    this.#after(unauthorized && this.#accepted ? { then: "renew", reason: "unauthorized" } : end);
  }

  #after(end: Ending): void {
    const stable = this.online && Date.now() - this.#status.since >= STABLE_MS;
    if (stable) this.#failures = 0;
    this.#drop();
    if (end.then === "stop") {
      if (end.reason === "unauthorized") this.forgetToken();
      this.#show({ state: "stopped", reason: end.reason });
      return;
    }
    if (end.then === "renew") this.forgetToken();
    const atLeastMs = end.then === "backoff" ? end.atLeastMs : 0;
    this.#notBefore = Date.now() + atLeastMs;
    this.#wait(end.reason, atLeastMs + this.#pauseMs(end));
  }

  #pauseMs(end: Ending): number {
    const attempt = this.#failures++;
    if (end.then === "spread" && attempt === 0) return this.#browser.random() * this.#windowMs;
    // A first expiry is no failure; the second in a row may be a clock that is wrong.
    if (end.then === "renew" && attempt === 0) return 0;
    return backoffMs(attempt, this.#browser.random());
  }

  #wait(reason: string, ms: number): void {
    this.#show({ state: "waiting", reason, retryAt: Date.now() + ms });
    this.#alarm = setTimeout(() => void this.#connect(), ms);
  }

  #drop(): void {
    clearTimeout(this.#alarm);
    this.#try++;
    this.#lines = [];
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      if (socket.readyState < 2) socket.close();
    }
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(offline());
  }

  #show(status: Omit<Status, "since">): void {
    this.#status = { ...status, since: Date.now() };
    this.#host.onStatus(this.#status);
  }
}

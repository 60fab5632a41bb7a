/** A visitor's session: the widget's side of the client. */
import { thisBrowser, type Browser } from "./browser.ts";
import { Cell } from "./cell.ts";
import { isLocal } from "./chat.ts";
import { DeskbellError } from "./errors.ts";
import { post } from "./http.ts";
import { Model, type Dump } from "./model.ts";
import { Session } from "./session.ts";
import type { OpenOptions, Readable, VisitorProfile, Write } from "./state.ts";
import type { ConnectReply, Frame, Page, ResumePosition, SessionReply } from "./wire.ts";

export interface VisitorOptions {
  /** Where Deskbell runs, e.g. `https://chat.example.org`. */
  readonly server: string;
  /** The project's public key. */
  readonly project: string;
  /** Where resume token and outbox may be kept once the visitor has written. */
  readonly storage: "none" | "tab" | "device";
  /** A JWT by which the embedding site vouches for the visitor. */
  readonly identity?: string | undefined;
  readonly browser?: Browser;
}

interface VisitorDump extends Dump {
  readonly presence: { readonly online: number } | null;
}

/** A `connect` may have 8 KiB: 1 KiB for the token, and room for fifty positions. */
const POSITIONS = 50;

class VisitorModel extends Model {
  readonly presence = new Cell<{ readonly online: number } | null>(null);

  constructor() {
    super("visitor");
  }

  protected override connected(reply: ConnectReply): void {
    super.connected(reply);
    if (reply.agents && "online" in reply.agents) this.presence.set(reply.agents);
  }

  protected override frame(frame: Frame): void {
    if (frame.type === "presence" && "agents" in frame) this.presence.set(frame.agents);
    else super.frame(frame);
  }

  override dump(): VisitorDump {
    return { ...super.dump(), presence: this.presence.getSnapshot() };
  }

  override load(dump: VisitorDump): void {
    super.load(dump);
    this.presence.set(dump.presence);
  }
}

export class Visitor extends Session<VisitorModel> {
  readonly #project: string;
  #identity: string | null;
  /** The identity that the running session was asked for with. */
  #sent: string | null = null;
  #page: Page | undefined;

  constructor(options: VisitorOptions) {
    const { server, project, storage, identity = null, browser = thisBrowser() } = options;
    super(new VisitorModel(), { server, name: `deskbell:${server}:${project}`, storage, client: "widget", browser });
    this.#project = project;
    this.#identity = identity;
  }

  get profile(): Readable<VisitorProfile | null> {
    return this.model.profile as Readable<VisitorProfile | null>;
  }

  /** Ids, newest first. */
  get conversations(): Readable<readonly string[]> {
    return this.model.conversations;
  }

  get presence(): Readable<{ readonly online: number } | null> {
    return this.model.presence;
  }

  get unread(): Readable<number> {
    return this.model.unread;
  }

  /** Begins a conversation. The id that it returns can be used at once, and stays good. */
  open(text: string, options: OpenOptions = {}): Write {
    return this.write({ type: "open", body: { text }, ...options });
  }

  rate(id: string, score: number, comment?: string): Write {
    return this.write({ type: "rate", conversation: id, score, comment }, id);
  }

  /** Where the visitor is now; said again on each connect. */
  page(page: Page): void {
    this.#page = page;
    this.fire("page", page);
  }

  /** Who the visitor is; `null` for somebody unknown. Another person than before starts with nothing. */
  async identify(identity: string | null): Promise<void> {
    this.#identity = identity;
    if (this.started) await this.call("identify", identity);
  }

  /** Whether something of an earlier visit is stored. */
  remembers(): boolean {
    const { resume, outbox = [] } = this.vault.read();
    return resume !== undefined || outbox.length > 0;
  }

  /** Wipes what is stored. */
  forget(): void {
    this.vault.wipe();
  }

  protected override async perform(tab: string, op: string, argument: unknown): Promise<unknown> {
    if (op === "page") return this.#tellPage(argument as Page);
    if (op === "identify") return this.#identified(argument as string | null);
    return super.perform(tab, op, argument);
  }

  protected override connected(): void {
    if (this.#page) this.#tellPage(this.#page);
  }

  protected override positions(): readonly ResumePosition[] {
    return this.model.conversations
      .getSnapshot()
      .filter((id) => !isLocal(id))
      .slice(0, POSITIONS)
      .map((id) => this.model.chat(id)!)
      .filter(({ epoch }) => epoch !== "")
      .map(({ id, epoch, thread }) => ({ conversation: id, epoch, seq: thread.last }));
  }

  protected override async getToken(): Promise<string> {
    const { token, resume, visitor, project } = await this.#session();
    const { owner } = this.model;
    // Somebody else starts over; who is only known by name now goes on.
    if (owner !== "" && owner !== visitor.id && owner !== visitor.was) this.dispatch({ a: "reset" });
    this.dispatch({ a: "profile", profile: { visitor, project }, owner: visitor.id, resume });
    return token;
  }

  async #session(): Promise<SessionReply> {
    const ask = (resume: string) => {
      const body = { project: this.#project, resume: resume || undefined, identity: this.#identity ?? undefined };
      return post<SessionReply>(this.browser.fetch, `${this.server}/v1/sessions`, body, "omit");
    };
    const { resume } = this.model;
    this.#sent = this.#identity;
    try {
      return await ask(resume);
    } catch (error) {
      // The visitor's earlier visit may be forgotten there by now; a new one is welcome.
      if (resume && (error as DeskbellError).code === "unauthorized") return ask("");
      throw error;
    }
  }

  #tellPage(page: Page): void {
    this.#page = page;
    // Without a connection it is said as soon as there is one.
    this.connection?.request({ type: "page", page }).catch(() => {});
  }

  async #identified(identity: string | null): Promise<void> {
    this.#identity = identity;
    if (identity === this.#sent) return;
    this.connection?.forgetToken();
    // A resume token would bring back the person from before.
    if (identity === null) this.dispatch({ a: "profile", profile: this.model.profile.getSnapshot(), owner: this.model.owner, resume: "" });
    await this.getToken();
    if (this.model.self.getSnapshot()?.id === this.model.owner) return;
    this.connection?.stop();
    this.connection?.start();
  }
}

/** The agents' inbox: heads of conversations, and lists of them that stay right while heads change. */
import { Cell, tell } from "./cell.ts";
import type { DeskbellError } from "./errors.ts";
import type { Failure, Readable } from "./state.ts";
import type { Head, InboxFilter } from "./wire.ts";

export interface InboxList {
  readonly ids: readonly string[];
  /** `loading` until the first answer; `failed` when the server refused. */
  readonly state: "loading" | "ready" | "failed";
  /** There are older ones that `loadMore` brings. */
  readonly more: boolean;
  readonly error?: Failure;
}

/** An answer to `inbox`, its heads kept elsewhere. */
export interface PageOfIds {
  readonly ids: readonly string[];
  readonly cursor?: string;
}

export interface HeadChange {
  readonly id: string;
  readonly head: Head | undefined;
}

/** What a list needs to know. */
export interface InboxSource {
  readonly heads: Heads;
  readonly me: () => string | undefined;
  readonly online: Readable<boolean>;
  readonly query: (filter: InboxFilter, before: string | undefined) => Promise<PageOfIds>;
}

export function matches(filter: InboxFilter, head: Head, me: string | undefined): boolean {
  const { status = "open", assignee = "any", visitor } = filter;
  if (status !== "any" && head.status !== status) return false;
  if (visitor && !head.visitor.name?.toLowerCase().includes(visitor.toLowerCase())) return false;
  if (assignee === "any") return true;
  return head.assignee === (assignee === "none" ? null : assignee === "me" ? (me ?? "") : assignee);
}

const newestFirst = (a: Head, b: Head) => b.at - a.at || (a.conversation < b.conversation ? 1 : -1);

/** All heads that were heard of. A head is state: the one with the higher (`seq`, `desk_seq`) wins. */
export class Heads {
  /** Told of each change; of `null` when everything was replaced. */
  readonly changes = new Set<(change: HeadChange | null) => void>();
  readonly #heads = new Map<string, { readonly head: Head; readonly stamp: number }>();
  readonly #cells = new Map<string, Cell<Head | undefined>>();
  #stamp = 0;

  /** Grows with every head that is taken over. */
  get stamp(): number {
    return this.#stamp;
  }

  get(id: string): Head | undefined {
    return this.#heads.get(id)?.head;
  }

  all(): Head[] {
    return [...this.#heads.values()].map(({ head }) => head);
  }

  cell(id: string): Cell<Head | undefined> {
    let cell = this.#cells.get(id);
    if (!cell) this.#cells.set(id, (cell = new Cell(this.get(id))));
    return cell;
  }

  put(head: Head): void {
    const old = this.get(head.conversation);
    const outdated = old?.epoch === head.epoch && (head.seq - old.seq || head.desk_seq - old.desk_seq) < 0;
    if (outdated) return;
    this.#heads.set(head.conversation, { head, stamp: ++this.#stamp });
    this.#tell(head.conversation, head);
  }

  remove(id: string): void {
    if (this.#heads.delete(id)) this.#tell(id, undefined);
  }

  /** Replaces everything. */
  load(heads: readonly Head[]): void {
    this.#heads.clear();
    for (const head of heads) this.#heads.set(head.conversation, { head, stamp: ++this.#stamp });
    for (const [id, cell] of this.#cells) cell.set(this.get(id));
    tell(this.changes, null);
  }

  /** Those that should have been on this first page of an answer and are not; what came after `since` is newer than it. */
  missing(filter: InboxFilter, page: readonly Head[], whole: boolean, me: string | undefined, since: number): string[] {
    if (filter.visitor) return [];
    const there = new Set(page.map(({ conversation }) => conversation));
    const floor = whole ? -Infinity : (page.at(-1)?.at ?? Infinity);
    return [...this.#heads.values()]
      .filter(({ head, stamp }) => stamp <= since && head.at > floor && !there.has(head.conversation) && matches(filter, head, me))
      .map(({ head }) => head.conversation);
  }

  #tell(id: string, head: Head | undefined): void {
    this.#cells.get(id)?.set(head);
    tell(this.changes, { id, head });
  }
}

/** One list of the inbox, newest first: what the server answered, and what matched since. */
export class InboxView {
  readonly filter: InboxFilter;
  readonly #source: InboxSource;
  readonly #list = new Cell<InboxList>({ ids: [], state: "loading", more: false });
  readonly #ends: readonly (() => void)[];
  /** Answers to a search may match by what heads do not show, e.g. the e-mail address. */
  readonly #found = new Set<string>();
  #cursor: string | undefined;
  /** Older heads are known from other lists, but not all of them. */
  #floor = Infinity;
  #question = 0;

  constructor(source: InboxSource, filter: InboxFilter) {
    this.#source = source;
    this.filter = filter;
    const changed = (change: HeadChange | null) => (change ? this.#changed(change) : this.#rebuild(this.#list.getSnapshot().state));
    source.heads.changes.add(changed);
    const asked = source.online.subscribe(() => void (source.online.getSnapshot() && this.refresh()));
    this.#ends = [() => source.heads.changes.delete(changed), asked];
    if (source.online.getSnapshot()) void this.refresh();
  }

  get snapshot(): Readable<InboxList> {
    return this.#list;
  }

  /** Asks for the first page again. */
  async refresh(): Promise<void> {
    await this.#ask(undefined);
  }

  async loadMore(): Promise<void> {
    if (this.#cursor !== undefined) await this.#ask(this.#cursor);
  }

  dispose(): void {
    this.#question++;
    for (const end of this.#ends) end();
  }

  async #ask(before: string | undefined): Promise<void> {
    const question = ++this.#question;
    try {
      const page = await this.#source.query(this.filter, before);
      if (question === this.#question) this.#answered(page, before === undefined);
    } catch (error) {
      if (question === this.#question) this.#failed(error as DeskbellError);
    }
  }

  #answered({ ids, cursor }: PageOfIds, first: boolean): void {
    if (first) this.#found.clear();
    for (const id of ids) this.#found.add(id);
    this.#cursor = cursor;
    const oldest = this.#source.heads.get(ids.at(-1) ?? "");
    this.#floor = cursor === undefined ? -Infinity : (oldest?.at ?? this.#floor);
    this.#rebuild("ready");
  }

  #failed({ code, message, retryable }: DeskbellError): void {
    // The next connect asks again.
    if (code === "offline") return;
    const { ids, more } = this.#list.getSnapshot();
    this.#list.set({ ids, more, state: "failed", error: { code, message, retryable } });
  }

  #rebuild(state: InboxList["state"]): void {
    const ids = this.#source.heads.all().filter((head) => this.#fits(head)).sort(newestFirst).map(({ conversation }) => conversation);
    this.#list.set({ ids, state, more: this.#cursor !== undefined });
  }

  #fits(head: Head): boolean {
    if (head.at < this.#floor) return false;
    const { visitor, ...rest } = this.filter;
    const filter = visitor && this.#found.has(head.conversation) ? rest : this.filter;
    return matches(filter, head, this.#source.me());
  }

  #changed({ id, head }: HeadChange): void {
    const list = this.#list.getSnapshot();
    const was = list.ids.indexOf(id);
    const fits = head !== undefined && this.#fits(head);
    if (was < 0 && !fits) return;
    const ids = list.ids.filter((other) => other !== id);
    if (fits) ids.splice(this.#place(ids, head), 0, id);
    if (was < 0 || ids[was] !== id) this.#list.set({ ...list, ids });
  }

  #place(ids: readonly string[], head: Head): number {
    let low = 0;
    let high = ids.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#source.heads.get(ids[middle]!);
      if (other && newestFirst(other, head) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

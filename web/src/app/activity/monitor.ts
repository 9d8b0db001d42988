/** What the monitor knows of requests: pages of lists, joined by key, the higher version of a row holding.

With `everyone` there is no feed to follow, so it looks again and again: at what is active, at the newest page, and at each
row that was active and no longer is. One's own come by the feed (`learn`); tokens and tools of active rows are looked up. */
import type { FieldsOf, InspectedReply, RequestRow, RequestsReply } from "@sdk";
import { asked, type Filter, fits, isActive } from "./filters.ts";
import { rowKey } from "./rows.ts";

/** Rows of one page of a list. */
const PAGE_ROWS = 100;
/** What is kept: more than anybody scrolls through; the oldest that have ended go first. */
export const ROWS_MAX = 5_000;
/** Pages of a filtered list that are read to find a screenful; the rest comes by scrolling. */
const PAGES_PER_LOAD = 5;
const ROWS_PER_LOAD = 40;
const ACTIVE_ROWS = 200;
/** Rows looked at singly per refresh, because they left the active ones. */
const SETTLE_MAX = 20;

/** How the monitor gets its rows. */
export interface MonitorSource {
  list(fields: FieldsOf<"list_requests">): Promise<RequestsReply>;
  inspect(fields: FieldsOf<"inspect">): Promise<InspectedReply>;
}

/** What is known. `rows` is another array after each change, in no order. */
export interface MonitorView {
  readonly rows: readonly RequestRow[];
  readonly loading: boolean;
  readonly loaded: boolean;
  readonly hasMore: boolean;
  /** One sentence, "" while all is well. */
  readonly error: string;
}

/** See the module's text. Fits useSyncExternalStore. */
export class Monitor {
  readonly #source: MonitorSource;
  readonly #rows = new Map<string, RequestRow>();
  readonly #listeners = new Set<() => void>();
  #filter: Filter;
  #mark: string | null = null;
  #turn = 0;
  #refreshing = false;
  #view: MonitorView = { rows: [], loading: true, loaded: false, hasMore: false, error: "" };

  constructor(source: MonitorSource, filter: Filter) {
    this.#source = source;
    this.#filter = filter;
  }

  readonly get = (): MonitorView => this.#view;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Look for what this filter shows, from the newest on. Rows known already stay known. */
  look(filter: Filter): void {
    this.#filter = filter;
    this.#mark = null;
    void this.#load();
  }

  /** The next page, if there is one and none is on its way. */
  more(): void {
    if (this.#view.hasMore && !this.#view.loading) void this.#load();
  }

  /** Rows from elsewhere: the feed's. */
  learn(rows: Iterable<RequestRow>): void {
    if (this.#join(rows)) this.#tell({});
  }

  /** Look again at what may have changed without telling us. Failures are silent: the next time may do. */
  async refresh(): Promise<void> {
    if (this.#refreshing || !this.#view.loaded) return;
    this.#refreshing = true;
    try {
      const everyone = this.#filter.everyone;
      const scope = everyone ? { everyone } : {};
      const before = [...this.#rows.values()].filter(isActive);
      const active = await this.#source.list({ ...scope, active: true, limit: ACTIVE_ROWS });
      const newest = everyone ? await this.#source.list({ ...asked(this.#filter), limit: PAGE_ROWS }) : null;
      this.#join([...active.requests, ...(newest?.requests ?? [])]);
      if (active.next === null) await this.#settle(before, new Set(active.requests.map(rowKey)));
      this.#tell({});
    } catch {
      // Said by the connection's own line; a list that was shown stays.
    } finally {
      this.#refreshing = false;
    }
  }

  async #settle(before: readonly RequestRow[], active: ReadonlySet<string>): Promise<void> {
    const left = before.filter(
      (row) => !active.has(rowKey(row)) && isActive(this.#rows.get(rowKey(row)) ?? row),
    );
    for (const row of left.slice(0, SETTLE_MAX)) {
      const owner = row.owner === null ? {} : { owner: row.owner };
      try {
        const reply = await this.#source.inspect({ request_id: row.request_id, ...owner });
        this.#join([{ ...reply.request, owner: row.owner }]);
      } catch {
        this.#rows.delete(rowKey(row)); // It is gone: deleted, or no longer ours to see.
      }
    }
  }

  async #load(): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    const filter = this.#filter;
    this.#tell({ loading: true, error: "" });
    try {
      let found = 0;
      for (let page = 0; page < PAGES_PER_LOAD && found < ROWS_PER_LOAD; page += 1) {
        const before = this.#mark === null ? {} : { before: this.#mark };
        const reply = await this.#source.list({ ...asked(filter), limit: PAGE_ROWS, ...before });
        if (turn !== this.#turn) return;
        this.#mark = reply.next;
        found += reply.requests.filter((row) => fits(row, filter)).length;
        this.#join(reply.requests);
        if (reply.next === null) break;
        this.#tell({ loading: true });
      }
      const full = this.#rows.size >= ROWS_MAX;
      this.#tell({ loading: false, loaded: true, hasMore: this.#mark !== null && !full });
    } catch (error) {
      if (turn !== this.#turn) return;
      const text = error instanceof Error ? error.message : "The list could not be read.";
      this.#tell({ loading: false, error: text });
    }
  }

  #join(rows: Iterable<RequestRow>): boolean {
    let changed = false;
    for (const row of rows) {
      const key = rowKey(row);
      const known = this.#rows.get(key);
      // Of one version the later look holds: tokens and tools grow without a new one.
      if (known && known.version > row.version) continue;
      if (row.deleted) changed = this.#rows.delete(key) || changed;
      else {
        this.#rows.set(key, row);
        changed = true;
      }
    }
    if (this.#rows.size > ROWS_MAX) this.#forget();
    return changed;
  }

  #forget(): void {
    const ended = [...this.#rows].filter(([, row]) => !isActive(row));
    ended.sort(([, one], [, other]) => one.created_at - other.created_at);
    for (const [key] of ended.slice(0, this.#rows.size - ROWS_MAX)) this.#rows.delete(key);
  }

  #tell(change: Partial<MonitorView>): void {
    this.#view = { ...this.#view, ...change, rows: [...this.#rows.values()] };
    for (const listener of [...this.#listeners]) listener();
  }
}

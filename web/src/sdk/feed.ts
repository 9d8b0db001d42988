/** The feed as its reader knows it: whole rows by id, of which the higher version holds. */
import type { FeedRow } from "./happenings.ts";
import { Cell, type Readable } from "./readable.ts";
import type { ChatRow, FeedPush, ProbeRow, RequestRow } from "./wire.gen.ts";
import { LIVE_STATUSES } from "./wire.gen.ts";

/** Rows of one sort that are kept; the ones changed longest ago go first, and can be listed again. */
export const ROWS_MAX = 5000;

/** The version of a row that any other of that id replaces. */
export const DISTRUSTED = -1;

const live: ReadonlySet<string> = new Set(LIVE_STATUSES);

export class Feed {
  readonly chats: Readable<ReadonlyMap<string, ChatRow>>;
  readonly requests: Readable<ReadonlyMap<string, RequestRow>>;
  /** Whether what the server tells when one begins to follow the feed has come. */
  readonly ready: Readable<boolean>;
  readonly #chats = new Map<string, ChatRow>();
  readonly #requests = new Map<string, RequestRow>();
  readonly #shownChats = new Cell<ReadonlyMap<string, ChatRow>>(new Map());
  readonly #shownRequests = new Cell<ReadonlyMap<string, RequestRow>>(new Map());
  readonly #shownReady = new Cell(false);
  readonly #listeners = new Set<(row: FeedRow) => void>();
  readonly #schedule: () => void;
  #dirtyChats = false;
  #dirtyRequests = false;
  #ready = false;

  /** `schedule` arranges for `flush` to be called soon. */
  constructor(schedule: () => void) {
    this.#schedule = schedule;
    this.chats = this.#shownChats;
    this.requests = this.#shownRequests;
    this.ready = this.#shownReady;
  }

  /** Rows that came in replies (list_chats, list_requests, …) join what is known; of two with one id the higher version
   * holds. Rows of other people's requests are not for here. */
  learn(rows: Iterable<ChatRow | RequestRow>): void {
    for (const row of rows) {
      if ("request_id" in row) this.#request(row);
      else this.#chat(row);
    }
  }

  /** Be told of each row that is news, at once, until the returned function is called. */
  onRow(listener: (row: FeedRow) => void): () => void {
    const entry = (row: FeedRow) => listener(row);
    this.#listeners.add(entry);
    return () => {
      this.#listeners.delete(entry);
    };
  }

  /** The newest row of a request, also before readers are told. */
  row(requestId: string): RequestRow | null {
    return this.#requests.get(requestId) ?? null;
  }

  /** Take a push. Returns the requests that are held as running and that a snapshot did not name: what has become of
   * them must be asked. */
  take(push: FeedPush): string[] {
    // Another log, or one that lost its end (a store made anew, or put back from a copy): its versions say nothing about
    // those that are held, so whatever comes from it holds.
    if (push.reset === "unknown_epoch" || push.reset === "ahead") this.#distrust();
    const named = new Set<string>();
    for (const event of push.events) {
      if (event.type === "chat") this.#chat(event.chat);
      else {
        named.add(event.request.request_id);
        this.#request(event.request);
      }
    }
    this.whole();
    if (push.reset === null) return [];
    const stale = [...this.#requests.values()].filter((row) => live.has(row.status) && !row.deleted);
    return stale.map((row) => row.request_id).filter((id) => !named.has(id));
  }

  /** What the server has said of requests whose rows may be out of date. */
  settle(rows: Iterable<ProbeRow>): void {
    for (const row of rows) {
      const known = this.#requests.get(row.request_id);
      if (!known || (row.state !== "unknown" && row.status === null)) continue;
      // The version stays: whatever the feed tells later holds against this.
      const gone = row.state === "unknown";
      this.#put({ ...known, status: gone ? known.status : row.status!, deleted: gone });
    }
  }

  /** Forget everything: somebody else is here. */
  clear(): void {
    this.#chats.clear();
    this.#requests.clear();
    this.#dirtyChats = this.#dirtyRequests = true;
    this.#ready = false;
    this.#schedule();
  }

  /** What there was to tell has been told. */
  whole(): void {
    if (this.#ready) return;
    this.#ready = true;
    this.#schedule();
  }

  /** Show readers what is known now. */
  flush(): void {
    if (this.#dirtyChats) this.#shownChats.set(new Map(this.#chats));
    if (this.#dirtyRequests) this.#shownRequests.set(new Map(this.#requests));
    this.#dirtyChats = this.#dirtyRequests = false;
    this.#shownReady.set(this.#ready);
  }

  #distrust(): void {
    for (const [id, chat] of this.#chats) this.#chats.set(id, { ...chat, version: DISTRUSTED });
    for (const request of [...this.#requests.values()]) this.#put({ ...request, version: DISTRUSTED });
    this.#dirtyChats = true;
  }

  #chat(chat: ChatRow): void {
    const known = this.#chats.get(chat.chat_id);
    if (known && known.version >= chat.version) return;
    renew(this.#chats, chat.chat_id, chat);
    this.#dirtyChats = true;
    this.#tell({ type: "chat", chat });
  }

  #request(request: RequestRow): void {
    const known = this.#requests.get(request.request_id);
    if (!known || known.version < request.version) this.#put(request);
  }

  #put(request: RequestRow): void {
    renew(this.#requests, request.request_id, request);
    this.#dirtyRequests = true;
    this.#tell({ type: "request", request });
  }

  #tell(row: FeedRow): void {
    this.#schedule();
    for (const listener of [...this.#listeners]) listener(row);
  }
}

/** Put a row at the end, and let go of the first if there are too many. */
function renew<T>(rows: Map<string, T>, id: string, row: T): void {
  rows.delete(id);
  rows.set(id, row);
  if (rows.size > ROWS_MAX) rows.delete(rows.keys().next().value!);
}

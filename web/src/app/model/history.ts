/**
 * One chat's messages as the server keeps them, page by page, newest first.
 *
 * A refresh reads from the newest page on until it meets what is held, so that no gap stays between. What is held, is
 * of that range and does not come any more, was deleted. Finished messages never change, so a row that is held stays the
 * same object.
 */
import { type Client, CommandError, type MessageRow, type RequestRow } from "@sdk";

/** Messages of one page; the server sends fewer where they are large. */
const PAGE_ROWS = 100;
/** Pages read in one refresh before what is held is given up for what is new. */
const REFRESH_PAGES_MAX = 10;
/** Messages held of one chat: as many as the server gives an agent of one branch. */
export const MESSAGES_MAX = 10_000;

/** What went wrong with the last load: nothing, no such chat, or a sentence for people. */
export interface HistoryTrouble {
  readonly missing: boolean;
  readonly error: string;
}

const NO_TROUBLE: HistoryTrouble = { missing: false, error: "" };

/** See the module's text. `changed` is called after each change of what can be read here. */
export class History {
  readonly rows = new Map<string, MessageRow>();
  trouble: HistoryTrouble = NO_TROUBLE;
  loaded = false;
  loadingOlder = false;
  readonly #client: Client;
  readonly #chatId: string;
  readonly #changed: (requests: readonly RequestRow[]) => void;
  #mark: string | null = null;
  #refresh: Promise<void> | null = null;
  #again = false;

  constructor(client: Client, chatId: string, changed: (requests: readonly RequestRow[]) => void) {
    this.#client = client;
    this.#chatId = chatId;
    this.#changed = changed;
  }

  /** Whether there are older messages than those held. */
  get hasOlder(): boolean {
    return this.#mark !== null && this.rows.size < MESSAGES_MAX;
  }

  /** Look what is new; while one look is under way, once more after it. Never rejects: see `trouble`. */
  refresh(): Promise<void> {
    if (this.#refresh) {
      this.#again = true;
      return this.#refresh;
    }
    const run = async () => {
      do {
        this.#again = false;
        await this.#attempt(() => this.#readNewest());
      } while (this.#again);
    };
    this.#refresh = run().finally(() => {
      this.#refresh = null;
    });
    return this.#refresh;
  }

  /** Load the next older page. Never rejects. */
  async older(): Promise<void> {
    const mark = this.#mark;
    if (this.loadingOlder || mark === null || !this.hasOlder) return;
    this.loadingOlder = true;
    this.#changed([]);
    await this.#attempt(async () => {
      const reply = await this.#read(mark);
      // A refresh meanwhile gave up what was held: what is older than that would leave a gap.
      if (this.#mark !== mark) return reply.requests;
      for (const row of reply.messages) this.#add(row);
      this.#mark = reply.next;
      return reply.requests;
    });
    this.loadingOlder = false;
    this.#changed([]);
  }

  /** Forget messages that were deleted. */
  forget(ids: Iterable<string>): void {
    for (const id of ids) this.rows.delete(id);
  }

  async #attempt(read: () => Promise<readonly RequestRow[]>): Promise<void> {
    try {
      const requests = await read();
      this.trouble = NO_TROUBLE;
      this.loaded = true;
      this.#changed(requests);
    } catch (error) {
      const missing = error instanceof CommandError && error.code === "unknown_chat";
      if (missing) {
        // Deleted, or the server was made anew: what is held is nobody's any more.
        this.loaded = true;
        this.rows.clear();
        this.#mark = null;
      }
      this.trouble = { missing, error: missing ? "" : sentenceOf(error) };
      this.#changed([]);
    }
  }

  /** Load older pages until a message is there; false if it is in none. */
  async until(messageId: string): Promise<boolean> {
    if (!this.loaded) await this.refresh();
    while (!this.rows.has(messageId) && this.hasOlder) {
      const { size } = this.rows;
      await this.older();
      if (this.rows.size === size || this.trouble.error !== "") break;
    }
    return this.rows.has(messageId);
  }

  async #readNewest(): Promise<readonly RequestRow[]> {
    const before = [...this.rows.values()];
    const found = new Map<string, MessageRow>();
    const requests: RequestRow[] = [];
    let mark: string | null = null;
    let met = before.length === 0; // with nothing held the first page is enough
    for (let page = 0; page < REFRESH_PAGES_MAX; page++) {
      const reply = await this.#read(mark);
      for (const row of reply.messages) {
        found.set(row.message_id, row);
        met ||= this.rows.has(row.message_id);
      }
      if (page === 0) requests.push(...reply.requests);
      mark = reply.next;
      if (met || mark === null) break;
    }
    const oldest = Math.min(...[...found.values()].map((row) => row.created_at));
    for (const row of before) {
      const inRange = mark === null || !met || row.created_at > oldest;
      if (inRange && !found.has(row.message_id)) this.rows.delete(row.message_id);
    }
    for (const row of found.values()) this.#add(row);
    if (!met || before.length === 0 || mark === null) this.#mark = mark;
    return requests;
  }

  #read(before: string | null) {
    return this.#client.call("list_messages", { chat_id: this.#chatId, limit: PAGE_ROWS, before });
  }

  #add(row: MessageRow): void {
    const held = this.rows.get(row.message_id);
    const final = held && (held.role === "user" || held.transcript !== null) && held.damaged === row.damaged;
    if (!final) this.rows.set(row.message_id, row);
  }
}

/** What an error says to people. */
export function sentenceOf(error: unknown): string {
  return error instanceof CommandError ? error.message : "Something went wrong here; reload the page.";
}

/** The pages of the chat list: what was loaded of it, and which rows are no longer in it though nobody told of them. */
import type { ChatRow, Client } from "@sdk";
import { Cell } from "./cell.ts";
import { sentenceOf } from "./history.ts";

const PAGE_ROWS = 50;
/** Rows looked at again after a break of the connection: as many as one command gives. */
const AGAIN_ROWS_MAX = 200;
/** Chats loaded into the list; for what is older there is the search. */
const CHATS_MAX = 5_000;

/** What is known of the paging. */
export interface PagesState {
  readonly loaded: boolean;
  readonly loading: boolean;
  readonly hasMore: boolean;
  readonly error: string;
}

/** The list of archived chats, or that of the others. */
export class ChatPages {
  readonly state = new Cell<PagesState>({ loaded: false, loading: false, hasMore: false, error: "" });
  readonly #client: Client;
  readonly #archived: boolean;
  readonly #gone: (rows: readonly ChatRow[]) => void;
  #mark: string | null = null;
  #count = 0;

  /** `gone` is told of rows that a look at the list no longer found. */
  constructor(client: Client, archived: boolean, gone: (rows: readonly ChatRow[]) => void) {
    this.#client = client;
    this.#archived = archived;
    this.#gone = gone;
  }

  /** Load the first page, if that was not done. */
  ensure(): void {
    const { loaded, loading } = this.state.get();
    if (!loaded && !loading) void this.#load(null, PAGE_ROWS);
  }

  /** Load the next page. */
  more(): void {
    const { hasMore, loading } = this.state.get();
    if (hasMore && !loading && this.#mark !== null) void this.#load(this.#mark, PAGE_ROWS);
  }

  /** The connection was away: look at the first rows again. */
  again(): void {
    const { loaded, loading } = this.state.get();
    if (loaded && !loading) void this.#load(null, Math.min(AGAIN_ROWS_MAX, Math.max(PAGE_ROWS, this.#count)));
  }

  async #load(before: string | null, limit: number): Promise<void> {
    const again = before === null && this.state.get().loaded;
    const held = again ? [...this.#client.feed.chats.get().values()] : [];
    this.#set({ loading: true, error: "" });
    try {
      const reply = await this.#client.call("list_chats", { archived: this.#archived, limit, before });
      this.#client.feed.learn(reply.chats);
      if (again) this.#findGone(held, reply.chats, reply.next);
      else this.#count += reply.chats.length;
      if (!again || this.#count <= reply.chats.length) this.#mark = reply.next;
      this.#set({ loaded: true, loading: false, hasMore: this.#mark !== null && this.#count < CHATS_MAX });
    } catch (error) {
      this.#set({ loading: false, error: sentenceOf(error) });
    }
  }

  /** What was held before the list was read, did not change since, and should be in the list and is not. */
  #findGone(held: readonly ChatRow[], listed: readonly ChatRow[], next: string | null): void {
    const ids = new Set(listed.map((row) => row.chat_id));
    const oldest = next === null ? -1 : Math.min(...listed.map((row) => row.updated_at));
    const now = this.#client.feed.chats.get();
    this.#gone(
      held.filter(
        (row) =>
          row.archived === this.#archived &&
          row.updated_at > oldest &&
          !ids.has(row.chat_id) &&
          (now.get(row.chat_id)?.version ?? row.version) === row.version,
      ),
    );
  }

  #set(change: Partial<PagesState>): void {
    this.state.set({ ...this.state.get(), ...change });
  }
}

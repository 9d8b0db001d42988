/** What is asked of the server on demand: the agents, and searches. */
import type { AgentRow, Client, HitRow } from "@sdk";
import { CommandError, LIMITS } from "@sdk";
import { Cell } from "./cell.ts";
import { plainTitle } from "./chatItems.ts";
import { sentenceOf } from "./history.ts";
import type { SearchState } from "./types.ts";

/** Hits of one search; a person reads a screenful, and then searches better. */
const HITS_MAX = 30;

/** Which agents exist; the list of the last time while a new one is on its way. */
export class Agents {
  readonly rows = new Cell<readonly AgentRow[]>([]);
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Ask anew. Never rejects: without an answer the last list stands. */
  async load(): Promise<void> {
    try {
      this.rows.set((await this.#client.call("list_agents", {})).agents);
    } catch {
      // asked again with the next connection
    }
  }
}

const IDLE: SearchState = { state: "idle", hits: [], error: "" };

function shown(hit: HitRow): HitRow {
  return { ...hit, title: plainTitle(hit.title) };
}

/** One search field: the latest query counts, what is still on its way of an earlier one is given up. */
export class Search {
  readonly view = new Cell<SearchState>(IDLE);
  readonly #client: Client;
  #running: AbortController | null = null;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Look for the query; hits of the last one stay until its own come. Never rejects. */
  async look(query: string): Promise<void> {
    this.#running?.abort();
    this.#running = null;
    const wanted = query.trim().slice(0, LIMITS.query_chars_max);
    if (!wanted) {
      this.view.set(IDLE);
      return;
    }
    const running = new AbortController();
    this.#running = running;
    this.view.set({ ...this.view.get(), state: "loading", error: "" });
    try {
      const { hits } = await this.#client.call(
        "search",
        { query: wanted, limit: HITS_MAX },
        { signal: running.signal },
      );
      if (this.#running === running) this.view.set({ state: "done", hits: hits.map(shown), error: "" });
    } catch (error) {
      if (this.#running !== running) return;
      // A query without a word to look for is refused as invalid: it finds nothing.
      if (error instanceof CommandError && error.code === "invalid")
        this.view.set({ state: "done", hits: [], error: "" });
      else this.view.set({ state: "error", hits: [], error: sentenceOf(error) });
    }
  }

  /** Give up what is on its way. */
  stop(): void {
    this.#running?.abort();
    this.#running = null;
  }
}

/** The threads that are kept: the chats that were on screen last, so that coming back shows at once what was there. */
import type { Client, RequestRow } from "@sdk";
import type { Chats } from "./chats.ts";
import { type ChoiceStore, Thread } from "./thread.ts";

/** Threads kept besides those on screen. */
export const THREADS_MAX = 20;

/** See the module's text. */
export class Threads {
  readonly #client: Client;
  readonly #chats: Chats;
  readonly #choices: ChoiceStore;
  readonly #threads = new Map<string, Thread>();

  constructor(client: Client, chats: Chats, choices: ChoiceStore) {
    this.#client = client;
    this.#chats = chats;
    this.#choices = choices;
  }

  /** The chat's thread; made if it is not kept. */
  of(chatId: string): Thread {
    let thread = this.#threads.get(chatId);
    if (thread) {
      this.#threads.delete(chatId);
    } else {
      thread = new Thread(this.#client, chatId, this.#choices, this.#chats.isFresh(chatId));
    }
    this.#threads.set(chatId, thread);
    this.#forget();
    return thread;
  }

  /** Follow outbox and feed, until the returned function is called. */
  start(): () => void {
    const { outbox, feed } = this.#client;
    const ends = [
      outbox.subscribe(() => {
        for (const thread of this.#threads.values()) thread.followOutbox(outbox.get());
      }),
      feed.onRow((row) => {
        if (row.type === "request") this.#requestChanged(row.request);
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  /** The connection is back after a break: what is on screen may have missed something. */
  again(): void {
    for (const thread of this.#threads.values()) if (thread.isOpen) void thread.refresh();
  }

  #requestChanged(row: RequestRow): void {
    if (row.chat_id !== null) this.#threads.get(row.chat_id)?.requestChanged(row);
  }

  #forget(): void {
    for (const [chatId, thread] of this.#threads) {
      if (this.#threads.size <= THREADS_MAX) return;
      if (!thread.isOpen) this.#threads.delete(chatId);
    }
  }
}

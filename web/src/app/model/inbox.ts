/**
 * What finished, failed or needs the person: from the rows of requests, joined with when their chats were last seen.
 *
 * Whether an item is seen is a matter of its chat's `seen_at`, which the server keeps, so devices agree and reloads change
 * nothing. For requests without a chat it is a time kept in this browser. What waits stays until it is decided; what the
 * person stopped needs no telling.
 */
import type { ChatRow, Client, RequestRow } from "@sdk";
import { Cell, sameFields, sameList } from "./cell.ts";
import { plainTitle } from "./chatItems.ts";
import type { Chats } from "./chats.ts";
import type { Presence } from "./presence.ts";
import { isFailure } from "./status.ts";
import { readRecord, type TextStorage, writeRecord } from "./surroundings.ts";
import type { Inbox, InboxItem } from "./types.ts";

/** Items kept: more than anybody reads; what is older is in the activity. */
const INBOX_MAX = 100;

const LOOKED_KEY = "holdfast.inbox";

/** See the module's text. */
export class InboxStore {
  readonly view: Cell<Inbox>;
  readonly #client: Client;
  readonly #chats: Chats;
  readonly #presence: Presence;
  readonly #storage: TextStorage;
  readonly #items = new Map<string, InboxItem>();
  #loaded = false;

  constructor(client: Client, chats: Chats, presence: Presence, storage: TextStorage) {
    this.#client = client;
    this.#chats = chats;
    this.#presence = presence;
    this.#storage = storage;
    this.view = new Cell<Inbox>({
      items: [],
      unseen: 0,
      loading: true,
      markAllSeen: () => this.#markAllSeen(),
    });
  }

  /** Follow, until the returned function is called. */
  start(): () => void {
    const compute = () => this.#compute();
    const ends = [
      this.#client.feed.requests.subscribe(compute),
      this.#chats.items.subscribe(compute),
      this.#presence.looking.subscribe(compute),
    ];
    compute();
    return () => {
      for (const end of ends) end();
    };
  }

  /** Ask for what ended while nobody was connected here. Failing is harmless: the next connection asks again. */
  async load(): Promise<void> {
    try {
      const reply = await this.#client.call("list_requests", { limit: INBOX_MAX });
      this.#client.feed.learn(reply.requests);
      this.#loaded = true;
      this.#compute();
    } catch {
      // what the feed tells is shown all the same
    }
  }

  #compute(): void {
    const found: InboxItem[] = [];
    const looked = this.#looked();
    for (const row of this.#client.feed.requests.get().values()) {
      const item = this.#item(row, looked);
      if (item) found.push(item);
    }
    found.sort((a, b) => b.at - a.at || (a.requestId < b.requestId ? 1 : -1));
    const items = found.slice(0, INBOX_MAX).map((item) => {
      const last = this.#items.get(item.requestId);
      return last && sameFields(last, item) ? last : item;
    });
    this.#items.clear();
    for (const item of items) this.#items.set(item.requestId, item);
    const last = this.view.get();
    const next = {
      ...last,
      items: sameList(last.items, items),
      unseen: items.filter((item) => !item.seen).length,
      loading: !this.#loaded && items.length === 0,
    };
    if (!sameFields(last, next)) this.view.set(next);
  }

  #item(row: RequestRow, looked: number): InboxItem | null {
    const kind = kindOf(row);
    if (kind === null || row.deleted) return null;
    const chat = row.chat_id === null ? undefined : this.#chats.row(row.chat_id);
    if (chat?.deleted) return null;
    const at = row.ended_at ?? row.updated_at;
    return {
      requestId: row.request_id,
      chatId: row.chat_id,
      kind,
      title: plainTitle(chat?.title || row.title),
      question: plainTitle(row.title),
      agent: row.agent,
      at,
      reason: kind === "failed" ? (row.outcome?.message ?? "") : "",
      seen: this.#isSeen(row, chat, kind, at, looked),
    };
  }

  #isSeen(row: RequestRow, chat: ChatRow | undefined, kind: string, at: number, looked: number): boolean {
    if (row.chat_id === null) return at <= looked;
    if (row.chat_id === this.#presence.looking.get()) return true;
    if (kind === "waiting") return false;
    // Of a chat that is not loaded nobody here can tell: it is old, or was put away, and what ended in it is done with.
    return chat === undefined || chat.archived || at <= chat.seen_at;
  }

  #markAllSeen(): void {
    const chats = new Set<string>();
    for (const item of this.view.get().items)
      if (!item.seen && item.chatId !== null && item.kind !== "waiting") chats.add(item.chatId);
    for (const chatId of chats) this.#chats.markSeen(chatId);
    writeRecord(this.#storage, LOOKED_KEY, { at: this.#client.now() });
    this.#compute();
  }

  #looked(): number {
    const { at } = readRecord(this.#storage, LOOKED_KEY);
    return typeof at === "number" ? at : 0;
  }
}

/** What a request is in the inbox; null if nothing. */
export function kindOf(row: RequestRow): InboxItem["kind"] | null {
  if (row.status === "waiting") return "waiting";
  if (row.status === "completed") return "done";
  return isFailure(row.status) ? "failed" : null;
}

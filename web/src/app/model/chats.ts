/**
 * All chats as the person sees them: the feed's rows, with what the person changed laid over them, what is under way in
 * them, and chats that only exist in the outbox.
 *
 * The chat that is looked at is seen as soon as something in it has ended: the server is told, and through it every other
 * device. A line of the list keeps its identity while it shows the same.
 *
 * A change made while the connection is away waits in memory and is sent with the next one; a reload before that forgets it,
 * and the list then shows what holds. Only what a person wrote is worth a store of its own.
 */
import { type ChatRow, type Client, LIMITS, newId, type Readable } from "@sdk";
import { Cell, sameFields, sameList } from "./cell.ts";
import { byNewest, chatItem, isUnread, newChatItem, trafficOf } from "./chatItems.ts";
import { ChatPages } from "./chatPages.ts";
import { type ChatPatch, ChatPatches } from "./chatPatches.ts";
import { sentenceOf } from "./history.ts";
import type { Presence } from "./presence.ts";
import type { ChatItem, ChatList, ToastInput } from "./types.ts";

/** How long a deletion can be taken back by the toast; the server keeps it at least that long. */
export const UNDO_MS = 30_000;

/** Ids kept of chats made here and not sent to, and of rows found to be gone. */
const IDS_MAX = 1_000;

type Lists = Readonly<Record<"active" | "archived", Cell<ChatList>>>;

/** See the module's text. */
export class Chats {
  readonly items = new Cell<ReadonlyMap<string, ChatItem>>(new Map());
  readonly lists: Lists;
  /** How often an agent was chosen for a chat that does not exist yet. */
  readonly agentsChosen = new Cell(0);
  readonly #client: Client;
  readonly #presence: Presence;
  readonly #drafts: Readable<ReadonlySet<string>>;
  readonly #say: (toast: ToastInput) => void;
  readonly #patches = new ChatPatches();
  readonly #pages: Readonly<Record<"active" | "archived", ChatPages>>;
  readonly #gone = new Map<string, number>();
  readonly #fresh = new Map<string, string | null>();
  readonly #seenTried = new Map<string, number>();

  constructor(
    client: Client,
    presence: Presence,
    drafts: Readable<ReadonlySet<string>>,
    say: (toast: ToastInput) => void,
  ) {
    this.#client = client;
    this.#presence = presence;
    this.#drafts = drafts;
    this.#say = say;
    const gone = (rows: readonly ChatRow[]) => {
      for (const row of rows) bounded(this.#gone, row.chat_id, row.version);
      this.#compute();
    };
    this.#pages = {
      active: new ChatPages(client, false, gone),
      archived: new ChatPages(client, true, gone),
    };
    this.lists = { active: this.#list("active"), archived: this.#list("archived") };
  }

  /** Follow everything that the lists are made of, until the returned function is called. */
  start(): () => void {
    const compute = () => this.#compute();
    const { feed, outbox } = this.#client;
    const sources = [feed.chats, feed.requests, outbox, this.#drafts, this.#presence.looking];
    const pages = [this.#pages.active.state, this.#pages.archived.state];
    const ends = [...sources, ...pages].map((each) => each.subscribe(compute));
    compute();
    return () => {
      for (const end of ends) end();
    };
  }

  /** The list is wanted: load its first page. */
  want(which: "active" | "archived"): void {
    this.#pages[which].ensure();
  }

  /** The connection is back after a break. */
  again(): void {
    this.#pages.active.again();
    this.#pages.archived.again();
  }

  /** The row as the person sees it. */
  row(chatId: string): ChatRow | undefined {
    const row = this.#client.feed.chats.get().get(chatId);
    return row && this.#patches.over(row);
  }

  /** The agent chosen for the chat; null: the server's default. */
  agentOf(chatId: string): string | null {
    return this.row(chatId)?.agent ?? this.#fresh.get(chatId) ?? null;
  }

  /** Made here, and the server does not know it. */
  isFresh(chatId: string): boolean {
    return this.#fresh.has(chatId) && !this.#client.feed.chats.get().has(chatId);
  }

  newChatId(): string {
    const id = newId();
    bounded(this.#fresh, id, null);
    return id;
  }

  setAgent(chatId: string, agent: string): void {
    if (this.#client.feed.chats.get().has(chatId)) {
      void this.#change(chatId, { agent }, { agent }, "The agent could not be chosen");
    } else {
      bounded(this.#fresh, chatId, agent); // goes with the first message
      this.agentsChosen.set(this.agentsChosen.get() + 1);
    }
  }

  rename(chatId: string, title: string): Promise<void> {
    const given = { title: title.trim().slice(0, LIMITS.title_chars_max) };
    return this.#change(chatId, given, given, "The chat could not be renamed");
  }

  archive(chatId: string, on: boolean): Promise<void> {
    const what = on ? "The chat could not be archived" : "The chat could not be taken from the archive";
    if (on) {
      const title = this.row(chatId)?.title ?? "";
      this.#say({
        text: title ? `Archived “${title}”` : "Chat archived",
        action: { label: "Undo", onSelect: () => void this.archive(chatId, false) },
      });
    }
    return this.#change(chatId, { archived: on }, { archived: on }, what);
  }

  async remove(chatId: string): Promise<void> {
    const title = this.row(chatId)?.title ?? "";
    const done = this.#act(chatId, { deleted: true }, "The chat could not be deleted", async () => {
      await this.#client.call("delete_chat", { chat_id: chatId });
      // The feed brings the tombstone; until then the row that is held counts as gone.
      const version = this.#client.feed.chats.get().get(chatId)?.version;
      if (version !== undefined) bounded(this.#gone, chatId, version);
      return null;
    });
    this.#say({
      text: title ? `Deleted “${title}”` : "Chat deleted",
      action: { label: "Undo", onSelect: () => void this.restore(chatId) },
    });
    await done;
  }

  async restore(chatId: string): Promise<void> {
    this.#gone.delete(chatId);
    await this.#act(chatId, { deleted: false }, "The chat could not be restored", async () => {
      const { chat } = await this.#client.call("restore_chat", { chat_id: chatId });
      this.#gone.delete(chatId);
      return chat;
    });
  }

  markSeen(chatId: string): void {
    const row = this.row(chatId);
    if (!row || !isUnread(row)) return;
    const seenAt = Math.max(this.#client.now(), row.updated_at, row.last_ended_at);
    void this.#change(chatId, { seenAt }, { seen: true }, "");
  }

  #change(
    chatId: string,
    patch: ChatPatch,
    fields: { title?: string; agent?: string; archived?: boolean; seen?: boolean },
    trouble: string,
  ): Promise<void> {
    return this.#act(
      chatId,
      patch,
      trouble,
      async () => (await this.#client.call("update_chat", { chat_id: chatId, ...fields })).chat,
    );
  }

  /** Show the change, make it, and take it back with a word if that fails. `run` gives the row that has it. */
  async #act(
    chatId: string,
    patch: ChatPatch,
    trouble: string,
    run: () => Promise<ChatRow | null>,
  ): Promise<void> {
    const laid = this.#patches.lay(chatId, patch);
    this.#compute();
    try {
      const row = await run();
      laid.confirm(row?.version ?? null);
      if (row) this.#client.feed.learn([row]);
    } catch (error) {
      laid.take();
      if (trouble) this.#say({ text: `${trouble}: ${sentenceOf(error)}`, tone: "danger" });
    }
    this.#compute();
  }

  #compute(): void {
    const traffic = trafficOf(this.#client.feed.requests.get().values(), this.#client.outbox.get());
    const drafts = this.#drafts.get();
    const looking = this.#presence.looking.get();
    const last = this.items.get();
    const next = new Map<string, ChatItem>();
    const add = (item: ChatItem) => {
      const held = last.get(item.chatId);
      next.set(item.chatId, held && sameFields(held, item) ? held : item);
    };
    const rows = this.#client.feed.chats.get();
    for (const held of rows.values()) {
      const row = this.#patches.over(held);
      if (row.deleted || this.#gone.get(row.chat_id) === held.version) continue;
      add(chatItem(row, traffic.get(row.chat_id), drafts.has(row.chat_id), looking === row.chat_id));
    }
    for (const [chatId, each] of traffic)
      if (!rows.has(chatId) && !this.#gone.has(chatId))
        add(newChatItem(chatId, each, this.agentOf(chatId), drafts.has(chatId)));
    if (next.size !== last.size || [...next].some(([id, item]) => last.get(id) !== item))
      this.items.set(next);
    this.#publish("active");
    this.#publish("archived");
    if (looking !== null) this.#seeOnScreen(looking);
  }

  /** Once for each end: should the server refuse, it is not asked again and again. */
  #seeOnScreen(chatId: string): void {
    const row = this.row(chatId);
    if (!row || !isUnread(row)) return;
    const at = Math.max(row.updated_at, row.last_ended_at);
    if ((this.#seenTried.get(chatId) ?? 0) >= at) return;
    bounded(this.#seenTried, chatId, at);
    this.markSeen(chatId);
  }

  #list(which: "active" | "archived"): Cell<ChatList> {
    const more = () => this.#pages[which].more();
    return new Cell<ChatList>({ rows: [], loading: true, hasMore: false, more });
  }

  #publish(which: "active" | "archived"): void {
    const list = this.lists[which];
    const last = list.get();
    const { loaded, hasMore } = this.#pages[which].state.get();
    const wanted = [...this.items.get().values()].filter((item) => item.archived === (which === "archived"));
    const rows = sameList(last.rows, wanted.sort(byNewest));
    const next = { ...last, rows, hasMore, loading: !loaded && rows.length === 0 };
    if (!sameFields(last, next)) list.set(next);
  }
}

/** Set, and forget the oldest beyond IDS_MAX. */
function bounded<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > IDS_MAX) map.delete(map.keys().next().value as string);
}

/**
 * What is typed in each chat and not sent: kept over reloads, and the same in all tabs.
 *
 * Written a moment after a key, and when the page may go away: then also where writing is done before it returns, for a
 * database that is still writing when its page goes may lose it. Of two drafts of one chat the later holds, but
 * what the person types in this tab is never overwritten by another tab: from the first key until the tab is hidden or
 * the draft is empty, the draft is this tab's own.
 *
 * Drafts are somebody's. Until it is known who is here (`belongTo`) they are in memory alone, and then belong to them; when
 * somebody else comes they go from here, and stay in the store for their owner.
 */
import type { Readable } from "@sdk";
import { Cell } from "./cell.ts";
import { type Draft, type DraftStore, isDraft } from "./draftStore.ts";
import type { Surroundings, TabLine } from "./surroundings.ts";

/** How long after a key a draft is written; typing on does not put it off. */
const WRITE_AFTER_MS = 400;

const LINE = "holdfast.drafts";

/** Where a page leaves what the database may not get any more; with the user's name behind it. */
const LAST_WORDS = "holdfast.lastWords";

/** Chats without a draft whose cells are kept, for they may be on screen. */
const EMPTY_MAX = 200;

/** See the module's text. */
export class Drafts {
  /** The chats that have a draft. */
  readonly chats = new Cell<ReadonlySet<string>>(new Set());
  readonly #storeOf: (owner: string) => DraftStore;
  readonly #around: Surroundings;
  readonly #now: () => number;
  #store: DraftStore | null = null;
  #owner: string | null = null;
  #line: TabLine | null = null;
  #stopLine: (() => void) | null = null;
  readonly #cells = new Map<string, Cell<string>>();
  readonly #times = new Map<string, number>();
  readonly #own = new Set<string>();
  readonly #unwritten = new Set<string>();
  /** Typed since the store last said that it has all of it. */
  readonly #recent = new Set<string>();
  #stopWaiting: (() => void) | null = null;

  /** `storeOf` gives the store of one user's drafts. */
  constructor(storeOf: (owner: string) => DraftStore, around: Surroundings, now: () => number) {
    this.#storeOf = storeOf;
    this.#around = around;
    this.#now = now;
  }

  /** Somebody is here: load what they have kept, and agree with their other tabs. */
  belongTo(owner: string): void {
    if (owner === this.#owner) return;
    if (this.#owner !== null) this.#leave();
    this.#owner = owner;
    this.#store = this.#storeOf(owner);
    this.#line = this.#around.line(`${LINE}.${owner}`);
    this.#listen();
    this.#recover();
    void this.load();
    this.flush();
  }

  /** Forget all drafts, in the store too: whoever is here leaves this browser. Never rejects. */
  async clear(): Promise<void> {
    const store = this.#store;
    if (this.#owner !== null) this.#around.local.removeItem(`${LAST_WORDS}.${this.#owner}`);
    this.#leave();
    await store?.clear().catch(() => {}); // as in load
  }

  #leave(): void {
    this.flush();
    this.#stopLine?.();
    this.#store = this.#line = this.#stopLine = null;
    this.#owner = null;
    for (const cell of this.#cells.values()) cell.set("");
    this.chats.set(new Set());
    this.#times.clear();
    this.#own.clear();
    this.#recent.clear();
  }

  #listen(): void {
    this.#stopLine?.();
    this.#stopLine =
      this.#line?.listen((message) => {
        if (isDraft(message)) this.#take(message);
      }) ?? null;
  }

  /** Keep and agree, until the returned function is called. */
  start(): () => void {
    this.#listen();
    const ends = [
      () => {
        this.#stopLine?.();
        this.#stopLine = null;
      },
      this.#around.onLeaving(() => this.#leaving()),
      this.#around.visible.subscribe(() => {
        if (!this.#around.visible.get()) this.#own.clear();
      }),
    ];
    void this.load();
    return () => {
      for (const end of ends) end();
      this.flush();
    };
  }

  /** Take over what is kept, where it is later than what is here. Never rejects. */
  async load(): Promise<void> {
    const store = this.#store;
    try {
      for (const draft of (await store?.load()) ?? []) if (this.#store === store) this.#take(draft);
    } catch {
      // a browser that refuses storage keeps drafts as long as the page lives
    }
  }

  /** The draft of a chat, "" if there is none. */
  of(chatId: string): Readable<string> {
    return this.#cell(chatId);
  }

  /** The person typed. */
  set(chatId: string, text: string): void {
    if (this.#cell(chatId).get() === text) return;
    this.#times.set(chatId, this.#now());
    if (text) this.#own.add(chatId);
    else this.#own.delete(chatId);
    this.#show(chatId, text);
    this.#unwritten.add(chatId);
    this.#recent.add(chatId);
    this.#stopWaiting ??= this.#around.after(() => this.flush(), WRITE_AFTER_MS);
  }

  /** Write what is not written. */
  flush(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = null;
    if (!this.#store) return; // nobody is known yet; what is unwritten stays so
    for (const chatId of this.#unwritten) {
      const draft = this.#draftOf(chatId);
      this.#line?.send(draft);
      const written = draft.text ? this.#store.put(draft) : this.#store.remove(chatId);
      this.#recent.add(chatId);
      const settled = () => {
        if (this.#times.get(chatId) === draft.at) this.#recent.delete(chatId);
      };
      written.then(settled, settled); // one that was refused: as in load
    }
    this.#unwritten.clear();
  }

  /** The page may go away. What was typed in the last moments goes into a storage that has it at once. */
  #leaving(): void {
    if (this.#owner !== null && this.#recent.size > 0) {
      const drafts = new Map(this.#lastWords().map((draft) => [draft.chatId, draft])); // another tab may have left too
      for (const chatId of this.#recent) {
        const draft = this.#draftOf(chatId);
        if (draft.at >= (drafts.get(chatId)?.at ?? 0)) drafts.set(chatId, draft);
      }
      try {
        this.#around.local.setItem(`${LAST_WORDS}.${this.#owner}`, JSON.stringify([...drafts.values()]));
      } catch {
        // full: the database has most likely taken them all the same
      }
    }
    this.flush();
  }

  /** Take over what pages of this user's wrote as they left. */
  #recover(): void {
    for (const draft of this.#lastWords()) {
      this.#take(draft);
      this.#unwritten.add(draft.chatId);
    }
    this.#around.local.removeItem(`${LAST_WORDS}.${this.#owner}`);
  }

  #lastWords(): Draft[] {
    try {
      const drafts: unknown = JSON.parse(this.#around.local.getItem(`${LAST_WORDS}.${this.#owner}`) ?? "[]");
      return Array.isArray(drafts) ? drafts.filter(isDraft) : [];
    } catch {
      return []; // not ours
    }
  }

  #draftOf(chatId: string): Draft {
    return { chatId, text: this.#cell(chatId).get(), at: this.#times.get(chatId) ?? 0 };
  }

  #take(draft: Draft): void {
    if (this.#own.has(draft.chatId) || draft.at <= (this.#times.get(draft.chatId) ?? 0)) return;
    this.#times.set(draft.chatId, draft.at);
    this.#show(draft.chatId, draft.text);
  }

  #show(chatId: string, text: string): void {
    this.#cell(chatId).set(text);
    const chats = this.chats.get();
    if (chats.has(chatId) === (text.trim() !== "")) return;
    const next = new Set(chats);
    if (text.trim()) next.add(chatId);
    else next.delete(chatId);
    this.chats.set(next);
  }

  /** A day of going through chats must not leave a cell for each. */
  #forget(): void {
    let left = this.#cells.size - this.chats.get().size - EMPTY_MAX;
    for (const [chatId, cell] of this.#cells) {
      if (left <= 0) return;
      if (cell.get() !== "" || this.#unwritten.has(chatId)) continue;
      this.#cells.delete(chatId);
      this.#times.delete(chatId);
      left--;
    }
  }

  #cell(chatId: string): Cell<string> {
    let cell = this.#cells.get(chatId);
    if (!cell) {
      cell = new Cell("");
      this.#cells.set(chatId, cell);
      this.#forget();
    }
    return cell;
  }
}

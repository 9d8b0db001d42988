/**
 * What is typed in each chat and not sent: kept over reloads, and the same in all tabs.
 *
 * Written a moment after the last key, and at once when the page may go away. Of two drafts of one chat the later holds, but
 * what the person types in this tab is never overwritten by another tab: from the first key until the tab is hidden or
 * the draft is empty, the draft is this tab's own.
 */
import type { Readable } from "@sdk";
import { Cell } from "./cell.ts";
import { type Draft, type DraftStore, isDraft } from "./draftStore.ts";
import type { Surroundings, TabLine } from "./surroundings.ts";

/** How long after the last key a draft is written. */
export const WRITE_AFTER_MS = 400;

const LINE = "holdfast.drafts";

/** See the module's text. */
export class Drafts {
  /** The chats that have a draft. */
  readonly chats = new Cell<ReadonlySet<string>>(new Set());
  readonly #store: DraftStore;
  readonly #around: Surroundings;
  readonly #now: () => number;
  readonly #line: TabLine;
  readonly #cells = new Map<string, Cell<string>>();
  readonly #times = new Map<string, number>();
  readonly #own = new Set<string>();
  readonly #unwritten = new Set<string>();
  #stopWaiting: (() => void) | null = null;

  constructor(store: DraftStore, around: Surroundings, now: () => number) {
    this.#store = store;
    this.#around = around;
    this.#now = now;
    this.#line = around.line(LINE);
  }

  /** Load what is kept and agree with other tabs, until the returned function is called. */
  start(): () => void {
    const ends = [
      this.#line.listen((message) => {
        if (isDraft(message)) this.#take(message);
      }),
      this.#around.onLeaving(() => this.flush()),
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
    try {
      for (const draft of await this.#store.load()) this.#take(draft);
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
    this.#stopWaiting?.();
    this.#stopWaiting = this.#around.after(() => this.flush(), WRITE_AFTER_MS);
  }

  /** Write what is not written. */
  flush(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = null;
    for (const chatId of this.#unwritten) {
      const draft = { chatId, text: this.#cell(chatId).get(), at: this.#times.get(chatId) ?? 0 };
      this.#line.send(draft);
      const written = draft.text ? this.#store.put(draft) : this.#store.remove(chatId);
      written.catch(() => {}); // as in load
    }
    this.#unwritten.clear();
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

  #cell(chatId: string): Cell<string> {
    let cell = this.#cells.get(chatId);
    if (!cell) {
      cell = new Cell("");
      this.#cells.set(chatId, cell);
    }
    return cell;
  }
}

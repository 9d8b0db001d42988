/** Where drafts are kept over reloads: IndexedDB, because a draft may be larger than what localStorage should carry. */
import { type IDBPDatabase, openDB } from "idb";

/** What was typed in a chat and not sent. */
export interface Draft {
  readonly chatId: string;
  readonly text: string;
  /** When it was typed, ms since 1970. */
  readonly at: number;
}

/** A durable place for drafts. Every promise may reject; then what was typed lives as long as the page. */
export interface DraftStore {
  load(): Promise<readonly Draft[]>;
  put(draft: Draft): Promise<void>;
  remove(chatId: string): Promise<void>;
  /** Forget all. */
  clear(): Promise<void>;
}

/** Drafts kept; of more the oldest are forgotten when they are loaded. */
export const DRAFTS_MAX = 200;

const STORE = "drafts";

/** Drafts in the database of this name. Opened when first needed. */
export function indexedDbDrafts(name: string): DraftStore {
  let opening: Promise<IDBPDatabase> | null = null;
  const database = () => {
    opening ??= openDB(name, 1, {
      upgrade: (db) => void db.createObjectStore(STORE, { keyPath: "chatId" }),
      blocking: (_old, _new, event) => {
        (event.target as IDBDatabase).close(); // another tab has a newer version of this page
        opening = null;
      },
      terminated: () => {
        opening = null;
      },
    }).catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  };
  return {
    load: async () => {
      const db = await database();
      const all = ((await db.getAll(STORE)) as unknown[]).filter(isDraft);
      all.sort((a, b) => b.at - a.at);
      for (const old of all.slice(DRAFTS_MAX)) await db.delete(STORE, old.chatId);
      return all.slice(0, DRAFTS_MAX);
    },
    put: async (draft) => {
      await (await database()).put(STORE, draft);
    },
    remove: async (chatId) => {
      await (await database()).delete(STORE, chatId);
    },
    clear: async () => {
      await (await database()).clear(STORE);
    },
  };
}

/** Whether a value from outside (a database, another tab) is a draft. */
export function isDraft(value: unknown): value is Draft {
  if (typeof value !== "object" || value === null) return false;
  const draft = value as Partial<Record<keyof Draft, unknown>>;
  return typeof draft.chatId === "string" && typeof draft.text === "string" && typeof draft.at === "number";
}

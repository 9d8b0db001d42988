/** Where submits wait until they are accepted. */
import type { OutboxEntry } from "./state.ts";

/** A place for entries that is durable, or is not. Every promise may reject; then the entry counts as not kept there. */
export interface OutboxStore {
  /** All entries, in any order. */
  load(): Promise<OutboxEntry[]>;
  /** Keep an entry; resolves once it is durable. */
  put(entry: OutboxEntry): Promise<void>;
  /** Let go of one; `accepted` tells the other clients of this store what became of it. */
  remove(requestId: string, accepted?: boolean): Promise<void>;
  /** Be told when another client of the same store changed it; with the entry that was removed, if one was. */
  onChange?(
    listener: (removed?: { readonly requestId: string; readonly accepted: boolean }) => void,
  ): () => void;
  /** Resolves when this client may send the entry; the returned function lets another. Rejects when `signal` aborts, or where
   * there is no such thing; then the client sends without. */
  claim?(requestId: string, signal: AbortSignal): Promise<() => void>;
  /** The same, if no client has it or waits for it now; null otherwise. */
  claimNow?(requestId: string): Promise<(() => void) | null>;
  /** Let go of what the store holds open. */
  close?(): void;
}

/** Entries of this page alone: gone when it is. */
export function memoryOutbox(): OutboxStore {
  const entries = new Map<string, OutboxEntry>();
  return {
    load: async () => [...entries.values()],
    put: async (entry) => {
      entries.set(entry.requestId, entry);
    },
    remove: async (requestId) => {
      entries.delete(requestId);
    },
  };
}

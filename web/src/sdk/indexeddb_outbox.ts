/**
 * An outbox in IndexedDB: it outlives the page, and the tabs of one browser share it.
 *
 * Tabs tell each other of changes over a BroadcastChannel, and settle who sends an entry by a Web Lock per entry, which the
 * browser takes from a tab that is gone. Where either is missing tabs still agree in the end: each reads the store when it
 * starts, and ids make repeats harmless.
 */
import { type IDBPDatabase, openDB } from "idb";
import type { OutboxStore } from "./outbox_store.ts";
import type { OutboxEntry } from "./state.ts";

const STORE = "entries";

type Told = { readonly removed: { readonly requestId: string; readonly accepted: boolean } | null };

/** The outbox of that name, made at its first use. Where IndexedDB is not to be had every promise rejects, and the client
 * keeps entries in memory. */
export function indexedDbOutbox(name: string): OutboxStore {
  let opening: Promise<IDBPDatabase> | null = null;
  const channel = channelOf(`${name}/outbox`);
  // In Node an open channel would keep the process from ending.
  (channel as { unref?: () => void } | null)?.unref?.();

  function database(): Promise<IDBPDatabase> {
    opening ??= openDB(name, 1, {
      upgrade(db) {
        db.createObjectStore(STORE, { keyPath: "requestId" });
      },
      blocking(_current, _wanted, event) {
        // Another tab has a newer release of this page: make room, and open anew at the next use.
        opening = null;
        (event.target as IDBDatabase).close();
      },
      terminated() {
        opening = null;
      },
    }).catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  }

  async function write(work: (store: { put(e: OutboxEntry): unknown; delete(id: string): unknown }) => void) {
    const db = await database();
    const transaction = db.transaction(STORE, "readwrite", { durability: "strict" });
    work(transaction.store);
    await transaction.done;
  }

  function tell(removed: Told["removed"]): void {
    channel?.postMessage({ removed } satisfies Told);
  }

  const locks = typeof navigator === "undefined" ? undefined : navigator.locks;
  return {
    load: async () => (await (await database()).getAll(STORE)) as OutboxEntry[],
    put: async (entry) => {
      await write((store) => store.put(entry));
      tell(null);
    },
    remove: async (requestId, accepted = false) => {
      await write((store) => store.delete(requestId));
      tell({ requestId, accepted });
    },
    onChange: (listener) => {
      const told = (event: MessageEvent) => listener((event.data as Told).removed ?? undefined);
      channel?.addEventListener("message", told);
      return () => channel?.removeEventListener("message", told);
    },
    ...(locks
      ? {
          claim: (requestId: string, signal: AbortSignal) => claim(locks, `${name}/${requestId}`, { signal }),
          claimNow: (requestId: string) =>
            claim(locks, `${name}/${requestId}`, { ifAvailable: true }).catch(() => null),
        }
      : {}),
    close: () => {
      channel?.close();
      void opening?.then((db) => db.close()).catch(() => {});
      opening = null;
    },
  };
}

/** A line to the other tabs, where the browser gives one: some that block storage refuse it by throwing. */
function channelOf(name: string): BroadcastChannel | null {
  try {
    return typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(name);
  } catch {
    return null;
  }
}

/** Hold a lock until the returned function is called; rejects when it is not to be had. */
function claim(locks: LockManager, name: string, options: LockOptions): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const held = locks.request(name, options, (lock) => {
      if (!lock) throw new Error("another tab has it");
      return new Promise<void>((release) => resolve(release));
    });
    held.catch(reject);
  });
}

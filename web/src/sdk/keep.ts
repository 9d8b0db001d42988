/**
 * The store as the outbox may rely on it: every word to it ends soon, well or not, and whether it keeps things is known.
 *
 * A browser's storage can fail (no space left, a private window, a policy), and it can hang (another tab holds it, a
 * damaged profile). Neither may keep a message from being sent; both must be said.
 */
import type { OutboxStore } from "./outbox_store.ts";
import type { OutboxEntry } from "./state.ts";
import type { Timers } from "./surroundings.ts";

/** How long the store may take; disks take milliseconds, and whoever waits for a dead one waits for nothing. */
export const STORE_DEADLINE_MS = 3_000;

export class Keep {
  readonly #store: OutboxStore;
  readonly #timers: Timers;
  readonly #told: (durable: boolean) => void;

  /** `told` is told that something could be kept, or that the store failed. */
  constructor(store: OutboxStore, timers: Timers, told: (durable: boolean) => void) {
    this.#store = store;
    this.#timers = timers;
    this.#told = told;
  }

  /** What is kept; null if that cannot be known. Never rejects. What is no entry is left out. */
  async load(): Promise<OutboxEntry[] | null> {
    const kept = await this.#bounded(() => this.#store.load());
    if (!kept) this.#told(false);
    return kept ? (kept.value as readonly unknown[]).flatMap((value) => entryOf(value) ?? []) : null;
  }

  /** Keep an entry; whether that was done in time. Never rejects. */
  async put(entry: OutboxEntry): Promise<boolean> {
    // What is on its way now is waiting for whoever reads it after a reload.
    const state = entry.state === "sending" ? "waiting" : entry.state;
    const done = await this.#bounded(() => this.#store.put({ ...entry, state }));
    this.#told(done !== null);
    return done !== null;
  }

  /** Let go of an entry. Never rejects; one that stays is sent again under its id, which changes nothing. */
  async remove(requestId: string, accepted: boolean): Promise<void> {
    await this.#bounded(() => this.#store.remove(requestId, accepted));
  }

  async #bounded<T>(work: () => Promise<T>): Promise<{ readonly value: T } | null> {
    let timer: unknown = null;
    const late = new Promise<null>((resolve) => {
      timer = this.#timers.set(() => resolve(null), STORE_DEADLINE_MS);
    });
    const done = work().then(
      (value) => ({ value }),
      () => null,
    );
    const result = await Promise.race([done, late]);
    this.#timers.clear(timer);
    return result;
  }
}

/** An entry as it came from the disk, where another release of this page may have written; null if it is none. */
function entryOf(value: unknown): OutboxEntry | null {
  if (typeof value !== "object" || value === null) return null;
  const entry = value as Partial<OutboxEntry>;
  const sound =
    typeof entry.requestId === "string" &&
    typeof entry.order === "number" &&
    typeof entry.at === "number" &&
    typeof entry.submission === "object" &&
    entry.submission?.request_id === entry.requestId;
  if (!sound) return null;
  const state = entry.state === "refused" || entry.state === "withdrawn" ? entry.state : "waiting";
  return { ...(entry as OutboxEntry), state, error: entry.error ?? null, owner: entry.owner ?? null };
}

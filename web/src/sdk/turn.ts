/** Whose turn it is to send an entry: one of the tabs that share a store, and any of them once that tab does not move. */
import type { OutboxStore } from "./outbox_store.ts";
import type { Timers } from "./surroundings.ts";

/** How long another tab may have its turn before this one sends too. That tab may be frozen, or have lost its token; and
 * where both send, the id makes one a repeat. */
export const TURN_WAIT_MS = 15_000;

export class Turn {
  readonly #store: OutboxStore;
  readonly #timers: Timers;
  readonly #requestId: string;
  #asking: AbortController | null = null;
  #timer: unknown = null;
  #release: (() => void) | null = null;
  #free = false;

  constructor(store: OutboxStore, timers: Timers, requestId: string) {
    this.#store = store;
    this.#timers = timers;
    this.#requestId = requestId;
  }

  /** Whether this client may send the entry now. */
  get here(): boolean {
    return this.#free || this.#release !== null || !this.#store.claim;
  }

  /** Ask for the turn; `came` is called when it is here, unless `letGo` is called before. Asking twice is asking once. */
  ask(came: () => void): void {
    if (this.#asking || !this.#store.claim) return;
    const asking = new AbortController();
    this.#asking = asking;
    const over = (release: (() => void) | null) => {
      if (this.#asking !== asking) {
        release?.();
        return;
      }
      this.#timers.clear(this.#timer);
      this.#asking = null;
      this.#release = release;
      // Without a claim: locks are not to be had here, or whoever has this one does not move.
      this.#free = release === null;
      came();
    };
    this.#timer = this.#timers.set(() => {
      over(null);
      asking.abort();
    }, TURN_WAIT_MS);
    this.#store.claim(this.#requestId, asking.signal).then(over, () => over(null));
  }

  /** Take the turn if nobody has it or waits for it; otherwise false. */
  async takeNow(): Promise<boolean> {
    if (!this.#store.claimNow || this.#release) return true;
    const release = await this.#store.claimNow(this.#requestId);
    if (!release) return false;
    if (this.#release) release();
    else this.#release = release;
    return true;
  }

  /** Let another have it. */
  letGo(): void {
    this.#timers.clear(this.#timer);
    const asking = this.#asking;
    this.#asking = null;
    asking?.abort();
    this.#release?.();
    this.#release = null;
    this.#free = false;
  }
}

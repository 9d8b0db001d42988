/**
 * What was taken back and the server may have all the same: it is cancelled there, however long that takes.
 *
 * The intent stays in the store, without the words, until the server has said what became of it or that it never had it;
 * so it outlives the page. Several tabs may each say it: to cancel twice is to cancel once.
 */
import { CommandError } from "./errors.ts";
import type { Keep } from "./keep.ts";
import type { OutboxEntry } from "./state.ts";

/** Refusals of a client's own that leave open what becomes of the request: the next page says it again. */
const OPEN: ReadonlySet<string> = new Set(["replaced", "closed"]);

export class Withdrawals {
  readonly #keep: Keep;
  readonly #cancel: (requestId: string) => Promise<unknown>;
  readonly #under = new Set<string>();

  /** `cancel` sends a cancel, over whichever connection; it rejects with CommandError. */
  constructor(keep: Keep, cancel: (requestId: string) => Promise<unknown>) {
    this.#keep = keep;
    this.#cancel = cancel;
  }

  /** An entry was taken back: keep that, and see to it. Resolves once it is kept, or cannot be. */
  async add(entry: OutboxEntry): Promise<void> {
    const { requestId } = entry;
    const kept = this.#keep.put({
      ...entry,
      submission: { request_id: requestId },
      state: "withdrawn",
      error: null,
    });
    this.see(requestId, kept);
    await kept;
  }

  /** See to one that a page before left, or this one keeps (`kept`). */
  see(requestId: string, kept: Promise<unknown> = Promise.resolve()): void {
    if (this.#under.has(requestId)) return;
    this.#under.add(requestId);
    const done = async () => {
      await kept;
      if (this.#under.delete(requestId)) await this.#keep.remove(requestId, false);
    };
    this.#cancel(requestId).then(done, (error: unknown) => {
      if (error instanceof CommandError && (error.retryable || OPEN.has(error.code)))
        this.#under.delete(requestId);
      else void done();
    });
  }

  /** It is asked for again: the store's entry is that of the new submit. */
  revive(requestId: string): void {
    this.#under.delete(requestId);
  }

  /** Forget all of them: whoever took them back leaves this browser. What is on its way goes on. */
  async clear(): Promise<void> {
    await Promise.all([...this.#under].map((requestId) => this.#keep.remove(requestId, false)));
  }
}

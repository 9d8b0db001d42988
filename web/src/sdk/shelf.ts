/**
 * The answers that are known: those that are held, those that were and may be again, and whatever else somebody has.
 *
 * While anybody has an Answer the same id gives the same object; so the shelf points to it weakly, and firmly to what is
 * held and to a bounded number of released ones whose text is worth keeping.
 */
import type { Answer } from "./answer.ts";

/** Released answers whose text is kept: about as many as a person goes back and forth between. */
export const RELEASED_MAX = 64;

/** UTF-8 bytes of their text. */
export const RELEASED_BYTES_MAX = 16 * 1024 * 1024;

export class Shelf {
  readonly held = new Set<Answer>();
  readonly #known = new Map<string, WeakRef<Answer>>();
  readonly #released = new Map<Answer, number>();
  #releasedBytes = 0;
  readonly #collected = new FinalizationRegistry<string>((requestId) => {
    if (!this.#known.get(requestId)?.deref()) this.#known.delete(requestId);
  });

  get(requestId: string): Answer | null {
    return this.#known.get(requestId)?.deref() ?? null;
  }

  /** All that somebody still has. */
  get all(): Answer[] {
    return [...this.#known.values()].flatMap((each) => each.deref() ?? []);
  }

  add(answer: Answer): Answer {
    this.#known.set(answer.requestId, new WeakRef(answer));
    this.#collected.register(answer, answer.requestId);
    return answer;
  }

  hold(answer: Answer): void {
    this.#unkeep(answer);
    this.held.add(answer);
  }

  /** Nobody holds it any more: keep it for a while, and let go of the ones released longest ago. */
  release(answer: Answer): void {
    this.held.delete(answer);
    this.#unkeep(answer);
    const { bytes } = answer;
    this.#released.set(answer, bytes);
    this.#releasedBytes += bytes;
    while (this.#released.size > RELEASED_MAX || this.#releasedBytes > RELEASED_BYTES_MAX) {
      const oldest = this.#released.keys().next().value!;
      this.#unkeep(oldest);
      oldest.forget();
    }
  }

  #unkeep(answer: Answer): void {
    this.#releasedBytes -= this.#released.get(answer) ?? 0;
    this.#released.delete(answer);
  }
}

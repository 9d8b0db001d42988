/** The answers that a thread follows while it is on screen. */
import type { Answer } from "@sdk";

/** Answers followed at once in one chat; well below what one connection may subscribe to. */
const HOLDS_MAX = 100;

/** See the module's text. `changed` is called when the structure of a followed answer changes, never for deltas. */
export class Held {
  readonly #answers = new Map<string, Answer>();
  readonly #releases = new Map<string, () => void>();
  readonly #changed: (id: string) => void;
  #started = false;

  constructor(changed: (id: string) => void) {
    this.#changed = changed;
  }

  get(id: string): Answer | undefined {
    return this.#answers.get(id);
  }

  /** All of them, the first added first. */
  ids(): readonly string[] {
    return [...this.#answers.keys()];
  }

  pick(ids: readonly string[]): readonly Answer[] {
    return ids.flatMap((id) => this.#answers.get(id) ?? []);
  }

  add(id: string, answer: Answer): void {
    if (this.#answers.has(id)) return;
    this.#answers.set(id, answer);
    if (this.#started) this.#hold(id, answer);
  }

  drop(id: string): void {
    this.#release(id);
    this.#answers.delete(id);
  }

  start(): void {
    this.#started = true;
    // The newest first: should there be more than may be followed, the oldest wait for the next opening.
    for (const [id, answer] of [...this.#answers].reverse()) this.#hold(id, answer);
  }

  stop(): void {
    this.#started = false;
    for (const id of [...this.#releases.keys()]) this.#release(id);
  }

  #hold(id: string, answer: Answer): void {
    if (this.#releases.size >= HOLDS_MAX) this.#makeRoom();
    if (this.#releases.has(id) || this.#releases.size >= HOLDS_MAX) return;
    const unsubscribe = answer.shape.subscribe(() => this.#changed(id));
    const release = answer.hold();
    this.#releases.set(id, () => {
      unsubscribe();
      release();
    });
  }

  #makeRoom(): void {
    for (const id of this.#releases.keys()) {
      if (this.#answers.get(id)?.state.get().sync !== "ended") continue;
      this.#release(id);
      return;
    }
  }

  #release(id: string): void {
    this.#releases.get(id)?.();
    this.#releases.delete(id);
  }
}

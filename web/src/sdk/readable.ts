/** A value that can be read at any time and tells when it is another one; fits React's useSyncExternalStore. */

/** What a reader sees. `get` gives the same value until the listeners are told. */
export interface Readable<T> {
  get(): T;
  /** Be told of each change, until the returned function is called. */
  subscribe(listener: () => void): () => void;
}

/** Runs what it is given soon, once: how notifications are gathered (a frame of the screen, a microtask, at once). */
export type Batch = (run: () => void) => void;

/** Listeners that are told together. A listener that throws does not keep the others from being told. */
export class Listeners {
  readonly #all = new Set<() => void>();

  get size(): number {
    return this.#all.size;
  }

  add(listener: () => void): () => void {
    // A wrapper of its own, so that one function given twice is two listeners, each with its own end.
    const entry = () => listener();
    this.#all.add(entry);
    return () => {
      this.#all.delete(entry);
    };
  }

  tell(): void {
    for (const listener of [...this.#all]) {
      try {
        listener();
      } catch (error) {
        // One broken reader must not stop the others, nor the protocol; the host still hears of it.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** A value with its listeners. `set` tells them at once; whoever sets decides when that is. */
export class Cell<T> implements Readable<T> {
  readonly #listeners = new Listeners();
  #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  get(): T {
    return this.#value;
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    this.#listeners.tell();
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }
}

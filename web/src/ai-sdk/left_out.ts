/** What loading a chat left to resuming it: the answer that ran then, and may have ended since. */
import type { Client } from "../sdk/index.ts";

/** Chats of a page that were loaded in mid-answer and not resumed; the oldest is forgotten first. */
const CHATS_MAX = 200;

/** A map that forgets its oldest entry when it has more than `max`. */
export class Bounded<K, V> {
  readonly #max: number;
  readonly #entries = new Map<K, V>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: K): V | undefined {
    return this.#entries.get(key);
  }

  set(key: K, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > this.#max) this.#entries.delete(this.#entries.keys().next().value!);
  }

  /** Whether it was there. */
  delete(key: K): boolean {
    return this.#entries.delete(key);
  }
}

const ofClients = new WeakMap<Client, Bounded<string, string>>();

/** Of each chat the request that was left out. */
export function leftOut(client: Client): Bounded<string, string> {
  let chats = ofClients.get(client);
  if (chats === undefined) {
    chats = new Bounded(CHATS_MAX);
    ofClients.set(client, chats);
  }
  return chats;
}

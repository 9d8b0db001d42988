/** What an outbox holds in memory: each entry with what is known of its way, in order, and which entries are done with. */
import type { OutboxEntry } from "./state.ts";
import type { Turn } from "./turn.ts";

export interface Slot {
  entry: OutboxEntry;
  /** It may be sent: the store has it, or has failed to take it. */
  kept: boolean;
  /** The store has it, so that its absence there will mean something. */
  stored: boolean;
  tries: number;
  /** The server may have it, for all that is known here: another page may have sent it, or the server could not tell. */
  doubtful: boolean;
  /** It was put off, and its wait is not over. */
  resting: boolean;
  readonly turn: Turn;
}

export class Slots {
  readonly #slots = new Map<string, Slot>();
  /** Entries that are done with here: a reading of the store that began before must not bring them back. */
  readonly #done = new Set<string>();
  readonly #doneMax: number;
  readonly #changed: (requestId: string) => void;
  readonly #turnOf: (requestId: string) => Turn;
  #lastOrder = 0;

  /** `changed` is told of entries that come, change or go here; `doneMax` bounds how many that are done are remembered. */
  constructor(
    doneMax: number,
    turnOf: (requestId: string) => Turn,
    changed: (requestId: string | null) => void,
  ) {
    this.#doneMax = doneMax;
    this.#turnOf = turnOf;
    this.#changed = changed;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** All, as they are now: what is put or dropped meanwhile changes nothing of the list. */
  all(): Slot[] {
    return [...this.#slots.values()];
  }

  get(requestId: string): Slot | undefined {
    return this.#slots.get(requestId);
  }

  /** All entries, in their order. */
  entries(): OutboxEntry[] {
    return this.all()
      .map((slot) => slot.entry)
      .sort((one, other) => one.order - other.order);
  }

  /** The place after all others, for what is made at `at`. */
  nextOrder(at: number): number {
    this.#lastOrder = Math.max(this.#lastOrder + 1, at);
    return this.#lastOrder;
  }

  /** Hold an entry; `stored` if it comes from the store. */
  put(entry: OutboxEntry, stored: boolean): Slot {
    const { requestId } = entry;
    const turn = this.#turnOf(requestId);
    const slot: Slot = { entry, kept: stored, stored, tries: 0, doubtful: stored, resting: false, turn };
    this.#slots.set(requestId, slot);
    this.#lastOrder = Math.max(this.#lastOrder, entry.order);
    this.#changed(requestId);
    return slot;
  }

  update(slot: Slot, change: Partial<OutboxEntry>): void {
    slot.entry = { ...slot.entry, ...change };
    this.#changed(slot.entry.requestId);
  }

  /** Hold it no more; it is somebody else's, and may come back. */
  drop(requestId: string): void {
    this.#slots.delete(requestId);
    this.#changed(requestId);
  }

  /** Hold it no more; it is done with. */
  finish(requestId: string): void {
    this.#done.add(requestId);
    if (this.#done.size > this.#doneMax) this.#done.delete(this.#done.values().next().value!);
    this.drop(requestId);
  }

  isDone(requestId: string): boolean {
    return this.#done.has(requestId);
  }

  /** It is asked for again. */
  revive(requestId: string): void {
    this.#done.delete(requestId);
  }
}

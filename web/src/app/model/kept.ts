/** What this browser remembers of each chat: the mode, the branches chosen, and (while the tab lives) where it is scrolled to. */
import { Cell } from "./cell.ts";
import { readRecord, type TextStorage, writeRecord } from "./surroundings.ts";
import type { ChoiceStore } from "./thread.ts";
import type { Mode } from "./types.ts";

/** Chats of which something is remembered; of more the longest untouched are forgotten. */
export const KEPT_CHATS_MAX = 200;
/** Forks of one chat at which a choice is remembered. */
export const CHOICES_MAX = 100;

/** A record of named values, one per chat, in storage; the last touched ones. `isValue` keeps out what is not one. */
export class PerChat<T> {
  readonly changed = new Cell(0);
  readonly #storage: TextStorage;
  readonly #key: string;
  readonly #isValue: (value: unknown) => value is T;
  #values = new Map<string, T>();

  constructor(storage: TextStorage, key: string, isValue: (value: unknown) => value is T) {
    this.#storage = storage;
    this.#key = key;
    this.#isValue = isValue;
    this.reload();
  }

  get(chatId: string): T | undefined {
    return this.#values.get(chatId);
  }

  /** Remember. With `write` false it is written with the next `write()`. */
  set(chatId: string, value: T, write = true): void {
    this.#values.delete(chatId);
    this.#values.set(chatId, value);
    if (this.#values.size > KEPT_CHATS_MAX) this.#values.delete(this.#values.keys().next().value as string);
    if (write) this.write();
    this.changed.set(this.changed.get() + 1);
  }

  write(): void {
    writeRecord(this.#storage, this.#key, Object.fromEntries(this.#values));
  }

  /** Another tab wrote. */
  reload(): void {
    this.#values = new Map();
    for (const [chatId, value] of Object.entries(readRecord(this.#storage, this.#key)).slice(-KEPT_CHATS_MAX))
      if (this.#isValue(value)) this.#values.set(chatId, value);
    this.changed.set(this.changed.get() + 1);
  }
}

/** Sync or async, chat by chat. */
export function modesIn(storage: TextStorage): PerChat<Mode> {
  return new PerChat(storage, MODES_KEY, (value): value is Mode => value === "async" || value === "sync");
}

/** The key of the modes, of which other tabs tell. */
export const MODES_KEY = "holdfast.modes";

/** The branches that the person chose. */
export class BranchChoices implements ChoiceStore {
  readonly #kept: PerChat<Record<string, string>>;

  constructor(storage: TextStorage) {
    this.#kept = new PerChat(storage, "holdfast.branches", isChoices);
  }

  of(chatId: string): ReadonlyMap<string, string> {
    return new Map(Object.entries(this.#kept.get(chatId) ?? {}));
  }

  choose(chatId: string, fork: string, id: string): void {
    const { [fork]: _last, ...rest } = this.#kept.get(chatId) ?? {};
    const choices = Object.entries(rest).slice(1 - CHOICES_MAX);
    this.#kept.set(chatId, Object.fromEntries([...choices, [fork, id]]));
  }
}

/** Scroll positions, in the shape that the thread gives them. Written when the page may go away. */
export function placesIn(storage: TextStorage): PerChat<unknown> {
  return new PerChat(storage, "holdfast.places", (value): value is unknown => value !== null);
}

function isChoices(value: unknown): value is Record<string, string> {
  return (
    typeof value === "object" &&
    value !== null &&
    Object.values(value).every((choice) => typeof choice === "string")
  );
}

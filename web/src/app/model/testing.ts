/** What the model's tests stand on: a page's surroundings that the test moves, and a model within them. */
import { Cell } from "@sdk";
import type { Draft, DraftStore } from "./draftStore.ts";
import { Model } from "./model.ts";
import { memoryStorage, type Surroundings, type TabLine } from "./surroundings.ts";
import { FakeClient } from "./testingClient.ts";
import type { ToastInput } from "./types.ts";

export * from "./testingClient.ts";
export * from "./testingRows.ts";

/** A page whose timers the test runs, and whose storage it sees. */
export class FakeSurroundings implements Surroundings {
  readonly local = memoryStorage();
  readonly session = memoryStorage();
  readonly visible = new Cell(true);
  readonly lessMotion = new Cell(false);
  readonly opened: string[] = [];
  readonly #timers = new Set<() => void>();
  readonly #leaving = new Set<() => void>();
  readonly #stored = new Set<(key: string | null) => void>();
  readonly #lines: Map<string, Set<(message: unknown) => void>>;

  /** Another tab of the same browser shares `lines`. */
  constructor(lines: Map<string, Set<(message: unknown) => void>> = new Map()) {
    this.#lines = lines;
  }

  onLocalChange(listener: (key: string | null) => void): () => void {
    return joined(this.#stored, listener);
  }

  onLeaving(listener: () => void): () => void {
    return joined(this.#leaving, listener);
  }

  line(name: string): TabLine {
    const all = this.#lines.get(name) ?? new Set();
    this.#lines.set(name, all);
    let own: ((message: unknown) => void) | null = null;
    return {
      send: (message) => {
        for (const listener of all) if (listener !== own) listener(message);
      },
      listen: (listener) => {
        own = listener;
        return joined(all, listener);
      },
    };
  }

  after = (run: () => void): (() => void) => joined(this.#timers, run);

  reloads = 0;

  reload = (): void => {
    this.reloads += 1;
  };

  open = (path: string): void => void this.opened.push(path);

  /** Run what is due; all of it. */
  pass(): void {
    for (const run of [...this.#timers]) {
      this.#timers.delete(run);
      run();
    }
  }

  leave(): void {
    for (const listener of this.#leaving) listener();
  }

  /** Another tab wrote to storage. */
  stored(key: string): void {
    for (const listener of this.#stored) listener(key);
  }
}

/** Drafts in memory, which outlive the model that wrote them. */
export function memoryDrafts(): DraftStore & { readonly kept: Map<string, Draft> } {
  const kept = new Map<string, Draft>();
  return {
    kept,
    load: async () => [...kept.values()],
    put: async (draft) => void kept.set(draft.chatId, draft),
    remove: async (chatId) => void kept.delete(chatId),
    clear: async () => kept.clear(),
  };
}

/** A started model with everything around it. */
export function modelFor(client = new FakeClient(), around = new FakeSurroundings()) {
  const toasts: ToastInput[] = [];
  const drafts = memoryDrafts();
  const draftsOf = () => drafts;
  const dataset: Record<string, string | undefined> = {};
  const say = (toast: ToastInput) => void toasts.push(toast);
  const model = new Model({ client: client.sdk, around, draftsOf, dataset, say });
  const stop = model.start();
  return { model, client, around, toasts, drafts, dataset, stop };
}

/** Everything that was promised and can be done by now is done. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

function joined<T>(all: Set<T>, one: T): () => void {
  all.add(one);
  return () => {
    all.delete(one);
  };
}

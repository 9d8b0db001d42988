/** Which chat the person is looking at: the one on screen, while the document can be seen. */
import type { Readable } from "@sdk";
import { Cell } from "./cell.ts";

/** See the module's text. `looking` holds the chat's id, or null; `shown` too, but whether or not the
 * document can be seen. */
export class Presence {
  readonly looking = new Cell<string | null>(null);
  readonly shown = new Cell<string | null>(null);
  readonly #open: string[] = [];
  readonly #visible: Readable<boolean>;

  constructor(visible: Readable<boolean>) {
    this.#visible = visible;
  }

  /** Follow whether the document is visible, until the returned function is called. */
  start(): () => void {
    this.#update();
    return this.#visible.subscribe(() => this.#update());
  }

  /** A chat came on screen, until the returned function is called; of several the latest counts. */
  show(chatId: string): () => void {
    this.#open.push(chatId);
    this.#update();
    let shown = true;
    return () => {
      if (!shown) return;
      shown = false;
      this.#open.splice(this.#open.lastIndexOf(chatId), 1);
      this.#update();
    };
  }

  #update(): void {
    this.shown.set(this.#open.at(-1) ?? null);
    this.looking.set(this.#visible.get() ? this.shown.get() : null);
  }
}

/** Feeds a text's chunks to a splitter, each once; starts anew when it is another text. */
import type { Cut } from "../split/cut.ts";
import { Splitter } from "../split/splitter.ts";

/** Remembers how far it has read. */
export class SourceReader {
  #splitter = new Splitter();
  #chunks: readonly string[] = [];
  #read = 0;
  #last = "";
  #done = false;
  #cut: Cut = this.#splitter.cut();

  /** The text so far, cut. The same object as long as nothing came. */
  read(chunks: readonly string[], done: boolean): Cut {
    const same =
      chunks === this.#chunks || (chunks[0] === this.#chunks[0] && chunks[this.#read - 1] === this.#last);
    if (
      chunks.length < this.#read ||
      (this.#read > 0 && !same) ||
      (this.#done && chunks.length > this.#read) ||
      (this.#done && !done)
    ) {
      this.#splitter = new Splitter();
      this.#read = 0;
      this.#done = false;
      this.#cut = this.#splitter.cut();
    }
    const fresh = this.#read < chunks.length || (done && !this.#done);
    this.#chunks = chunks;
    if (!fresh) return this.#cut;
    for (; this.#read < chunks.length; this.#read++) {
      this.#last = chunks[this.#read]!;
      this.#splitter.append(this.#last);
    }
    if (done) this.#splitter.finish();
    this.#done = done;
    this.#cut = this.#splitter.cut();
    return this.#cut;
  }
}

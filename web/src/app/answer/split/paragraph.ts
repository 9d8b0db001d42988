/** Where a very long paragraph may be cut: after white space, before a letter, outside of all that is marked up. */

const OPENERS = "`*_~$[";

/** Looks for the first place to cut a text that grows at its end; each character is looked at once. */
export class ParagraphCut {
  /** Below this a paragraph is never cut: few paragraphs that people read are as long (some 330 words). */
  static readonly charsMin = 2_000;
  /** Here it is cut in any case, so that what is parsed again stays bounded. */
  static readonly charsMax = 4_000;

  #at = 0;
  #space = 0;
  readonly #odd = new Map<string, number>();

  /** The place to cut `text`, or 0 as long as there is none. `text` begins with what was given before. */
  find(text: string): number {
    if (text.length <= ParagraphCut.charsMin) return 0;
    for (; this.#at < text.length - 1; this.#at++) {
      const character = text[this.#at]!;
      if (character === "\\") {
        this.#at++;
        continue;
      }
      if (character === "]") this.#odd.set("[", (this.#odd.get("[") ?? 0) - 1);
      else if (OPENERS.includes(character)) this.#odd.set(character, (this.#odd.get(character) ?? 0) + 1);
      const fits = /\s/.test(character) && /\p{L}/u.test(text[this.#at + 1]!);
      if (fits && this.#at + 1 >= ParagraphCut.charsMin && this.#balanced()) return this.#at + 1;
      if (fits) this.#space = this.#at + 1;
      if (this.#at + 1 >= ParagraphCut.charsMax) {
        if (this.#space > ParagraphCut.charsMin) return this.#space;
        const low = text.charCodeAt(this.#at + 1);
        return low >= 0xdc00 && low <= 0xdfff ? this.#at : this.#at + 1;
      }
    }
    return 0;
  }

  #balanced(): boolean {
    for (const [mark, count] of this.#odd) if (mark === "[" ? count > 0 : count % 2 !== 0) return false;
    return true;
  }
}

/** The block that is open while Markdown grows: what it has so far, where it was last cut, and what may go on with it. */
import type { Block, Piece } from "./cut.ts";
import { isCertain, type Line, lookInside, underlines, unfence, unindented } from "./line.ts";
import { ParagraphCut } from "./paragraph.ts";
import { added, type Chapters, NO_CHAPTERS } from "./rope.ts";

/** What is open. */
export type Kind = "none" | "text" | "code" | "maths" | "list" | "note" | "quote" | "indented" | "table";

export class OpenBlock {
  readonly kind: Kind;
  readonly key: number;
  head = "";
  pieces: Chapters<Piece> = NO_CHAPTERS;
  tail = "";
  /** Items, rows or lines in the tail. */
  tailItems = 0;
  loose = false;
  /** What ends it, or what its items begin with. */
  mark = "";
  indent = 0;
  /** The column from which a line is inside. */
  offset = 0;
  blank = false;
  endsParagraph = false;
  emptyItem = false;
  innerFence = false;
  paragraph = new ParagraphCut();
  #pieceCount = 0;
  #before = 0;

  constructor(kind: Kind, key: number) {
    this.kind = kind;
    this.key = key;
  }

  /** It is over: as it stays for ever. */
  closed(): Block {
    return this.#block(this.pieces, false);
  }

  /** As it is shown now, with the line whose end has not come; `absorbed` if that is the paragraph's already. */
  shown(unended: string, absorbed: boolean): Block {
    let line = unended;
    if (this.kind === "code") line = unfence(unindented(line, this.indent), this.mark);
    const source = this.tail + line;
    if (source === "") return this.#block(this.pieces, true);
    const piece: Piece = {
      key: this.#pieceCount,
      source,
      line: absorbed ? "" : line,
      open: true,
      before: this.#before,
    };
    return this.#block(added(this.pieces, piece), true);
  }

  /** Whether the tail is long enough to be closed as a piece. */
  isLong(piece: { readonly items: number; readonly chars: number }): boolean {
    return this.tailItems >= piece.items || this.tail.length >= piece.chars;
  }

  #block(pieces: Chapters<Piece>, open: boolean): Block {
    const { key, head, loose } = this;
    return { key, kind: shownAs(this.kind), head, pieces, open, loose };
  }

  /** Whether a line that is not blank surely begins another top-level block than the open one. */
  interrupts(line: Line): boolean {
    const { start, indent } = line;
    switch (this.kind) {
      case "text":
        if (underlines(line) && this.pieces === NO_CHAPTERS) return false;
        return isCertain(line);
      case "quote":
        return start.is !== "quote" && (this.endsParagraph || start.is === "item" || isCertain(line));
      case "table":
        return start.is !== "text";
      case "indented":
        return indent < 4;
      default: {
        if (indent >= this.offset) return false;
        if (this.innerFence) return !this.isNextItem(line);
        if (this.isNextItem(line)) return false;
        if (this.blank || this.endsParagraph) return true;
        return start.is === "item" || isCertain(line);
      }
    }
  }

  /** Whether the line begins another item of the open list. */
  isNextItem({ start, indent }: Line): boolean {
    return this.kind === "list" && start.is === "item" && start.type === this.mark && indent < this.offset;
  }

  /** Note of a container's line what tells whether the next may lazily go on with a paragraph in it. */
  lookInside(line: Line): void {
    if (this.kind !== "list" && this.kind !== "note" && this.kind !== "quote") return;
    const { fence, ends } = lookInside(line);
    if (fence) this.innerFence = !this.innerFence;
    this.emptyItem = line.start.is === "item" && line.start.empty;
    this.endsParagraph = ends || this.innerFence;
  }

  /** Close what `source` says, which is no longer of the tail. */
  addPiece(source: string): void {
    this.pieces = added(this.pieces, {
      key: this.#pieceCount++,
      source,
      line: "",
      open: false,
      before: this.#before,
    });
    this.#before += this.tailItems;
  }

  /** Close all of the tail. */
  closePiece(): void {
    if (this.tail === "") return;
    this.addPiece(this.tail);
    this.tail = "";
    this.tailItems = 0;
  }
}

function shownAs(kind: Kind): Block["kind"] {
  return kind === "code" || kind === "list" || kind === "table" || kind === "note" ? kind : "text";
}

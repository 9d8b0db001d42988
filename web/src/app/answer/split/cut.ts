/** A text of Markdown, cut: blocks, and the pieces of those that may grow long. */
import type { Marks } from "./marks.ts";
import type { Chapters } from "./rope.ts";

/** A piece of a block: Markdown that can be read on its own (of code: its text). */
export interface Piece {
  readonly key: number;
  readonly source: string;
  /** The end of `source` that is a line whose end has not come. */
  readonly line: string;
  readonly open: boolean;
  /** Of a list or a table: how many items or rows stand before it. */
  readonly before: number;
}

/** One block. `text` is Markdown of any kind that is short, or a paragraph in pieces. */
export interface Block {
  readonly key: number;
  readonly kind: "text" | "code" | "list" | "table" | "note";
  /** Code: the info string. Table: its two head lines. Note: its label. List: its first line. */
  readonly head: string;
  /** The last one is open if the block is. */
  readonly pieces: Chapters<Piece>;
  readonly open: boolean;
  /** List: whether its items stand apart. */
  readonly loose: boolean;
}

/** An answer's text so far; what is closed is the same object each time. */
export interface Cut {
  /** The last one may be open. */
  readonly blocks: Chapters<Block>;
  readonly notes: readonly Block[];
  readonly marks: Marks;
  readonly done: boolean;
}

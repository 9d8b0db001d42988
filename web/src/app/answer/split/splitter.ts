/**
 * Cuts an answer's Markdown, as it grows, into blocks that are closed for ever and one that is open.
 *
 * Each character is looked at a bounded number of times. A cut is made only where any reader of CommonMark would begin
 * a new top-level block; where one line does not tell, nothing is cut and the block holds more than one thing. Inside a
 * block that may grow long (code, list, table, paragraph) pieces are closed at places where the parts on both sides can
 * be read on their own: lines, items, rows, and in a paragraph a space outside of everything that is marked up. Where
 * cuts fall depends on the text alone, never on how it was cut into chunks: that is what makes a streamed answer the
 * same as one that is read at once.
 */
import type { Block, Cut, Piece } from "./cut.ts";
import {
  closes,
  isCertain,
  isTableHead,
  type Line,
  lookInside,
  readLine,
  underlines,
  unfence,
  unindented,
} from "./line.ts";
import { DEFINITIONS_MAX, definitionsIn, labelOf, type Marks, NO_MARKS } from "./marks.ts";
import { ParagraphCut } from "./paragraph.ts";
import { added, type Chapters, NO_CHAPTERS } from "./rope.ts";

/** A list's piece is closed at the next item after so many items or characters: about a screenful to parse again. */
export const LIST_PIECE = { items: 8, chars: 1_200 } as const;
/** The same for rows of a table. */
export const TABLE_PIECE = { items: 16, chars: 1_600 } as const;
/** The same for lines of code. */
export const CODE_PIECE = { items: 48, chars: 4_000 } as const;

/** What is open. */
type Kind = "none" | "text" | "code" | "maths" | "list" | "note" | "quote" | "indented" | "table";

export class Splitter {
  #closed: Chapters<Block> = NO_CHAPTERS;
  #notes: readonly Block[] = [];
  #marks: Marks = NO_MARKS;
  #done = false;
  #keys = 0;
  #heldReturn = false;

  // The open block.
  #kind: Kind = "none";
  #key = 0;
  #head = "";
  #pieces: Chapters<Piece> = NO_CHAPTERS;
  #pieceCount = 0;
  #before = 0;
  #tail = "";
  #tailItems = 0;
  #loose = false;
  #mark = "";
  #indent = 0;
  #offset = 0;
  #blank = false;
  #innerFence = false;
  #endsParagraph = false;
  #emptyItem = false;
  #paragraph = new ParagraphCut();

  // The line whose end has not come.
  #line = "";
  /** Whether that line is known to go on with the open paragraph, and has been given to it. */
  #absorbed = false;

  /** Add what came. */
  append(chunk: string): void {
    let text = chunk;
    if (this.#heldReturn || chunk.includes("\r")) {
      text = (this.#heldReturn ? "\r" : "") + chunk;
      // A line may end with a return and a feed, of which only the first has come.
      this.#heldReturn = text.endsWith("\r");
      if (this.#heldReturn) text = text.slice(0, -1);
      text = text.replace(/\r\n?/g, "\n");
    }
    let from = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", from)) {
      this.#grow(text.slice(from, end));
      this.#endLine();
      from = end + 1;
    }
    if (from < text.length) this.#grow(text.slice(from));
  }

  /** No more will come: everything is closed. */
  finish(): void {
    if (this.#done) return;
    if (this.#heldReturn) {
      this.#heldReturn = false;
      this.append("\n");
    }
    if (this.#line !== "" || this.#absorbed) this.#endLine();
    this.#close();
    this.#done = true;
  }

  /** What there is now. */
  cut(): Cut {
    const open = this.#shown();
    const isNote = open?.kind === "note";
    return {
      blocks: open && !isNote ? added(this.#closed, open) : this.#closed,
      notes: open && isNote ? [...this.#notes, open] : this.#notes,
      marks: this.#marks,
      done: this.#done,
    };
  }

  #shown(): Block | null {
    const none = this.#kind === "none";
    if (none && this.#line === "") return null;
    let line = this.#line;
    if (this.#kind === "code") line = unfence(unindented(line, this.#indent), this.#mark);
    const source = this.#tail + line;
    const piece: Piece = {
      key: this.#pieceCount,
      source,
      line: this.#absorbed ? "" : line,
      open: true,
      before: this.#before,
    };
    return {
      key: none ? this.#keys : this.#key,
      kind: none ? "text" : shownAs(this.#kind),
      head: this.#head,
      pieces: source === "" ? this.#pieces : added(this.#pieces, piece),
      open: true,
      loose: this.#loose,
    };
  }

  #grow(text: string): void {
    this.#line += text;
    if (this.#absorbed) this.#cutParagraph();
    else if (
      this.#line.length > ParagraphCut.charsMin &&
      /^ {0,3}[\p{L}\p{Extended_Pictographic}("'“]/u.test(this.#line)
    ) {
      // Too long for anything but a paragraph's: it need not end to be one.
      if (this.#kind === "none") this.#open("text");
      if (this.#kind !== "text") return;
      this.#absorbed = true;
      this.#cutParagraph();
    }
  }

  #endLine(): void {
    const text = this.#line;
    if (this.#absorbed) {
      this.#line += "\n";
      this.#cutParagraph();
      this.#tail += this.#line;
      this.#line = "";
      this.#absorbed = false;
      return;
    }
    this.#line = "";
    this.#take(readLine(text));
  }

  #take(line: Line): void {
    if (this.#kind === "code") this.#takeCode(line);
    else if (this.#kind === "maths") {
      this.#tail += `${line.text}\n`;
      if (closes(line, this.#mark)) this.#close();
    } else if (line.start.is === "blank") this.#takeBlank(line);
    else if (this.#kind === "none" || this.#interrupts(line)) {
      this.#close();
      this.#begin(line);
    } else this.#join(line);
  }

  #takeCode(line: Line): void {
    if (closes(line, this.#mark)) {
      this.#close();
      return;
    }
    this.#tail += `${unindented(line.text, this.#indent)}\n`;
    this.#tailItems++;
    if (this.#tailItems >= CODE_PIECE.items || this.#tail.length >= CODE_PIECE.chars) this.#closePiece();
  }

  #takeBlank(line: Line): void {
    if (this.#kind === "list" || this.#kind === "note" || this.#kind === "indented") {
      // An item that begins with nothing takes at most that one line: nothing but another item follows in the list.
      if (this.#emptyItem) this.#offset = Number.MAX_SAFE_INTEGER;
      this.#blank = true;
      this.#tail += `${line.text}\n`;
    } else this.#close();
  }

  /** Whether a line that is not blank surely begins another top-level block than the open one. */
  #interrupts(line: Line): boolean {
    const { start, indent } = line;
    switch (this.#kind) {
      case "text":
        if (underlines(line) && this.#pieces === NO_CHAPTERS) return false;
        return isCertain(line);
      case "quote":
        return start.is !== "quote" && (this.#endsParagraph || start.is === "item" || isCertain(line));
      case "table":
        return start.is !== "text";
      case "indented":
        return indent < 4;
      default: {
        if (indent >= this.#offset) return false;
        if (this.#innerFence) return !this.#isNextItem(line);
        if (this.#isNextItem(line)) return false;
        if (this.#blank || this.#endsParagraph) return true;
        return start.is === "item" || isCertain(line);
      }
    }
  }

  #isNextItem({ start, indent }: Line): boolean {
    return this.#kind === "list" && start.is === "item" && start.type === this.#mark && indent < this.#offset;
  }

  #begin(line: Line): void {
    const { start } = line;
    switch (start.is) {
      case "heading":
      case "rule":
        this.#open("text");
        this.#tail = `${line.text}\n`;
        this.#close();
        return;
      case "fence":
        this.#open("code");
        this.#mark = start.mark;
        this.#indent = line.indent;
        this.#head = start.info;
        return;
      case "maths":
        this.#open("maths");
        this.#mark = start.mark;
        break;
      case "item":
        this.#open("list");
        this.#mark = start.type;
        this.#head = line.rest;
        this.#offset = start.offset;
        this.#tailItems = 1;
        break;
      case "note":
        this.#open("note");
        this.#head = labelOf(start.label);
        this.#offset = 4;
        break;
      case "quote":
        this.#open("quote");
        break;
      case "indented":
        this.#open("indented");
        break;
      default:
        this.#open("text");
    }
    this.#tail = `${line.text}\n`;
    this.#lookInside(line);
    if (this.#kind === "text") this.#cutParagraph();
  }

  #join(line: Line): void {
    const { start } = line;
    if (this.#isNextItem(line) && start.is === "item") {
      this.#loose ||= this.#blank;
      this.#offset = start.offset;
      this.#innerFence = false;
      if (this.#tailItems >= LIST_PIECE.items || this.#tail.length >= LIST_PIECE.chars) this.#closePiece();
      this.#tailItems++;
    } else if (this.#kind === "table") {
      if (this.#tailItems >= TABLE_PIECE.items || this.#tail.length >= TABLE_PIECE.chars) this.#closePiece();
      this.#tailItems++;
    } else if (this.#kind === "text" && this.#beginTable(line)) return;
    this.#blank = false;
    this.#tail += `${line.text}\n`;
    this.#lookInside(line);
    if (this.#kind !== "text") return;
    if (this.#pieces === NO_CHAPTERS && underlines(line) && !this.#tail.trimStart().startsWith("["))
      this.#close();
    else this.#cutParagraph();
  }

  /** Whether the line after a paragraph's last makes that a table's head; then the table is open. */
  #beginTable(line: Line): boolean {
    const lastFrom = this.#tail.lastIndexOf("\n", this.#tail.length - 2) + 1;
    if (lastFrom === 0 && this.#pieces !== NO_CHAPTERS) return false; // the line's beginning is in a closed piece
    const names = this.#tail.slice(lastFrom, -1);
    if (readLine(names).indent > 3 || !isTableHead(names, line)) return false;
    this.#tail = this.#tail.slice(0, lastFrom);
    this.#close();
    this.#open("table");
    this.#head = `${names}\n${line.text}\n`;
    return true;
  }

  /** Note of a container's line what tells whether the next may lazily go on with a paragraph in it. */
  #lookInside(line: Line): void {
    if (this.#kind !== "list" && this.#kind !== "note" && this.#kind !== "quote") return;
    const { fence, ends } = lookInside(line);
    if (fence) this.#innerFence = !this.#innerFence;
    this.#emptyItem = line.start.is === "item" && line.start.empty;
    this.#endsParagraph = ends || this.#innerFence;
  }

  #cutParagraph(): void {
    for (;;) {
      const at = this.#paragraph.find(this.#tail + this.#line);
      if (at === 0) return;
      const inTail = Math.min(at, this.#tail.length);
      const source = this.#tail.slice(0, inTail) + this.#line.slice(0, at - inTail);
      this.#line = this.#line.slice(at - inTail);
      this.#tail = this.#tail.slice(inTail);
      this.#addPiece(source);
      this.#paragraph = new ParagraphCut();
    }
  }

  #open(kind: Kind): void {
    this.#kind = kind;
    this.#key = this.#keys++;
    this.#head = "";
    this.#pieces = NO_CHAPTERS;
    this.#pieceCount = 0;
    this.#before = 0;
    this.#tail = "";
    this.#tailItems = 0;
    this.#loose = false;
    this.#blank = false;
    this.#innerFence = false;
    this.#endsParagraph = false;
    this.#emptyItem = false;
    this.#paragraph = new ParagraphCut();
  }

  #addPiece(source: string): void {
    this.#pieces = added(this.#pieces, {
      key: this.#pieceCount++,
      source,
      line: "",
      open: false,
      before: this.#before,
    });
    this.#before += this.#tailItems;
  }

  #closePiece(): void {
    if (this.#tail === "") return;
    this.#addPiece(this.#tail);
    this.#tail = "";
    this.#tailItems = 0;
  }

  #close(): void {
    if (this.#kind === "none") return;
    if (this.#kind === "text" && this.#pieces === NO_CHAPTERS) this.#define(definitionsIn(this.#tail));
    this.#closePiece();
    const block: Block = {
      key: this.#key,
      kind: shownAs(this.#kind),
      head: this.#head,
      pieces: this.#pieces,
      open: false,
      loose: this.#loose,
    };
    const empty = this.#pieces === NO_CHAPTERS && block.kind !== "code" && block.kind !== "table";
    if (this.#kind === "note") this.#note(block);
    else if (!empty) this.#closed = added(this.#closed, block);
    this.#kind = "none";
    this.#head = "";
    this.#pieces = NO_CHAPTERS;
    this.#tail = "";
  }

  #define(found: [string, string][]): void {
    const links = new Map(this.#marks.links);
    for (const [label, line] of found)
      if (!links.has(label) && links.size < DEFINITIONS_MAX) links.set(label, line); // the first one counts
    if (links.size > this.#marks.links.size) this.#marks = { ...this.#marks, links };
  }

  #note(block: Block): void {
    if (this.#marks.notes.has(block.head) || this.#notes.length >= DEFINITIONS_MAX) return;
    this.#notes = [...this.#notes, block];
    this.#marks = { ...this.#marks, notes: new Map(this.#marks.notes).set(block.head, this.#notes.length) };
  }
}

function shownAs(kind: Kind): Block["kind"] {
  return kind === "code" || kind === "list" || kind === "table" || kind === "note" ? kind : "text";
}

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
import type { Block, Cut } from "./cut.ts";
import { closes, isTableHead, type Line, readLine, underlines, unindented } from "./line.ts";
import { DEFINITIONS_MAX, definitionsIn, labelOf, type Marks, NO_MARKS } from "./marks.ts";
import { type Kind, OpenBlock } from "./openBlock.ts";
import { ParagraphCut } from "./paragraph.ts";
import { added, type Chapters, NO_CHAPTERS } from "./rope.ts";

/** A list's piece is closed at the next item after so many items or characters: about a screenful to parse again. */
const LIST_PIECE = { items: 8, chars: 1_200 } as const;
/** The same for rows of a table. */
const TABLE_PIECE = { items: 16, chars: 1_600 } as const;
/** The same for lines of code. */
const CODE_PIECE = { items: 48, chars: 4_000 } as const;

export class Splitter {
  #closed: Chapters<Block> = NO_CHAPTERS;
  #notes: readonly Block[] = [];
  #marks: Marks = NO_MARKS;
  #done = false;
  #keys = 0;
  #heldReturn = false;

  #block = new OpenBlock("none", 0);

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
    if (this.#block.kind === "none" && this.#line === "") return null;
    return this.#block.shown(this.#line, this.#absorbed);
  }

  #grow(text: string): void {
    this.#line += text;
    if (this.#absorbed) this.#cutParagraph();
    else if (
      this.#line.length > ParagraphCut.charsMin &&
      /^ {0,3}[\p{L}\p{Extended_Pictographic}("'“]/u.test(this.#line)
    ) {
      // Too long for anything but a paragraph's: it need not end to be one.
      if (this.#block.kind === "none") this.#open("text");
      if (this.#block.kind !== "text") return;
      this.#absorbed = true;
      this.#cutParagraph();
    }
  }

  #endLine(): void {
    const text = this.#line;
    if (this.#absorbed) {
      this.#line += "\n";
      this.#cutParagraph();
      this.#block.tail += this.#line;
      this.#line = "";
      this.#absorbed = false;
      return;
    }
    this.#line = "";
    this.#take(readLine(text));
  }

  #take(line: Line): void {
    if (this.#block.kind === "code") this.#takeCode(line);
    else if (this.#block.kind === "maths") {
      this.#block.tail += `${line.text}\n`;
      if (closes(line, this.#block.mark)) this.#close();
    } else if (line.start.is === "blank") this.#takeBlank(line);
    else if (this.#block.kind === "none" || this.#block.interrupts(line)) {
      this.#close();
      this.#begin(line);
    } else this.#join(line);
  }

  #takeCode(line: Line): void {
    if (closes(line, this.#block.mark)) {
      this.#close();
      return;
    }
    this.#block.tail += `${unindented(line.text, this.#block.indent)}\n`;
    this.#block.tailItems++;
    if (this.#block.isLong(CODE_PIECE)) this.#block.closePiece();
  }

  #takeBlank(line: Line): void {
    if (this.#block.kind === "list" || this.#block.kind === "note" || this.#block.kind === "indented") {
      // An item that begins with nothing takes at most that one line: nothing but another item follows in the list.
      if (this.#block.emptyItem) this.#block.offset = Number.MAX_SAFE_INTEGER;
      this.#block.blank = true;
      this.#block.tail += `${line.text}\n`;
    } else this.#close();
  }

  #begin(line: Line): void {
    const { start } = line;
    switch (start.is) {
      case "heading":
      case "rule":
        this.#open("text");
        this.#block.tail = `${line.text}\n`;
        this.#close();
        return;
      case "fence":
        this.#open("code");
        this.#block.mark = start.mark;
        this.#block.indent = line.indent;
        this.#block.head = start.info;
        return;
      case "maths":
        this.#open("maths");
        this.#block.mark = start.mark;
        break;
      case "item":
        this.#open("list");
        this.#block.mark = start.type;
        this.#block.head = line.rest;
        this.#block.offset = start.offset;
        this.#block.tailItems = 1;
        break;
      case "note":
        this.#open("note");
        this.#block.head = labelOf(start.label);
        this.#block.offset = 4;
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
    this.#block.tail = `${line.text}\n`;
    this.#block.lookInside(line);
    if (this.#block.kind === "text") this.#cutParagraph();
  }

  #join(line: Line): void {
    const { start } = line;
    if (this.#block.isNextItem(line) && start.is === "item") {
      this.#block.loose ||= this.#block.blank;
      this.#block.offset = start.offset;
      this.#block.innerFence = false;
      if (this.#block.isLong(LIST_PIECE)) this.#block.closePiece();
      this.#block.tailItems++;
    } else if (this.#block.kind === "table") {
      if (this.#block.isLong(TABLE_PIECE)) this.#block.closePiece();
      this.#block.tailItems++;
    } else if (this.#block.kind === "text" && this.#beginTable(line)) return;
    this.#block.blank = false;
    this.#block.tail += `${line.text}\n`;
    this.#block.lookInside(line);
    if (this.#block.kind !== "text") return;
    if (
      this.#block.pieces === NO_CHAPTERS &&
      underlines(line) &&
      !this.#block.tail.trimStart().startsWith("[")
    )
      this.#close();
    else this.#cutParagraph();
  }

  /** Whether the line after a paragraph's last makes that a table's head; then the table is open. */
  #beginTable(line: Line): boolean {
    const lastFrom = this.#block.tail.lastIndexOf("\n", this.#block.tail.length - 2) + 1;
    if (lastFrom === 0 && this.#block.pieces !== NO_CHAPTERS) return false; // the line's beginning is in a closed piece
    const names = this.#block.tail.slice(lastFrom, -1);
    if (readLine(names).indent > 3 || !isTableHead(names, line)) return false;
    this.#block.tail = this.#block.tail.slice(0, lastFrom);
    this.#close();
    this.#open("table");
    this.#block.head = `${names}\n${line.text}\n`;
    return true;
  }

  #cutParagraph(): void {
    for (;;) {
      const at = this.#block.paragraph.find(this.#block.tail + this.#line);
      if (at === 0) return;
      const inTail = Math.min(at, this.#block.tail.length);
      const source = this.#block.tail.slice(0, inTail) + this.#line.slice(0, at - inTail);
      this.#line = this.#line.slice(at - inTail);
      this.#block.tail = this.#block.tail.slice(inTail);
      this.#block.addPiece(source);
      this.#block.paragraph = new ParagraphCut();
    }
  }

  #open(kind: Kind): void {
    this.#block = new OpenBlock(kind, this.#keys++);
  }

  #close(): void {
    if (this.#block.kind === "none") return;
    if (this.#block.kind === "text" && this.#block.pieces === NO_CHAPTERS)
      this.#define(definitionsIn(this.#block.tail));
    this.#block.closePiece();
    const block = this.#block.closed();
    const empty = block.pieces === NO_CHAPTERS && block.kind !== "code" && block.kind !== "table";
    if (this.#block.kind === "note") this.#note(block);
    else if (!empty) this.#closed = added(this.#closed, block);
    this.#block = new OpenBlock("none", this.#keys);
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

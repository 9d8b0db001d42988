/** What one line of Markdown may begin or go on with, as far as it can be told from the line alone. */

/** What a line starts when nothing is open before it. */
export type Start =
  | { readonly is: "blank" | "heading" | "rule" | "quote" | "indented" | "text" }
  | { readonly is: "fence"; readonly mark: string; readonly info: string }
  | { readonly is: "maths"; readonly mark: string }
  | { readonly is: "note"; readonly label: string }
  | {
      readonly is: "item";
      readonly type: string;
      readonly offset: number;
      readonly empty: boolean;
      readonly number: number;
    };

/** A line, how far it is indented (columns; a tab goes to the next multiple of four), and what it starts. */
export interface Line {
  readonly text: string;
  readonly indent: number;
  readonly rest: string;
  readonly start: Start;
}

const BLANK = { is: "blank" } as const;
const FENCE = /^(?:(`{3,})([^`]*)|(~{3,})(.*))$/;
const HEADING = /^#{1,6}(?:[ \t]|$)/;
const RULE = /^([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const MATHS = /^(\${2,})[^$]*$/;
const NOTE = /^\[\^([^\]\s]{1,200})\]:/;
const ITEM = /^(?:([-+*])|(\d{1,9})([.)]))(?:([ \t]+)(?=\S)|[ \t]*$)/;

/** Read a whole line, without its line feed. */
export function readLine(text: string): Line {
  let indent = 0;
  let at = 0;
  for (; at < text.length; at++) {
    if (text[at] === " ") indent++;
    else if (text[at] === "\t") indent += 4 - (indent % 4);
    else break;
  }
  const rest = text.slice(at);
  return { text, indent, rest, start: rest.trim() === "" ? BLANK : startOf(rest, indent) };
}

function startOf(rest: string, indent: number): Start {
  if (indent >= 4) return { is: "indented" };
  const fence = FENCE.exec(rest);
  if (fence) return { is: "fence", mark: (fence[1] ?? fence[3])!, info: (fence[2] ?? fence[4] ?? "").trim() };
  if (HEADING.test(rest)) return { is: "heading" };
  if (RULE.test(rest)) return { is: "rule" };
  if (rest.startsWith(">")) return { is: "quote" };
  const maths = MATHS.exec(rest);
  if (maths) return { is: "maths", mark: maths[1]! };
  const note = NOTE.exec(rest);
  if (note) return { is: "note", label: note[1]! };
  const item = ITEM.exec(rest);
  if (item) {
    const wide = (item[1] ?? `${item[2]}${item[3]}`).length;
    // A tab or five spaces and more after the marker: the content is indented code, one column after the marker.
    const gap = item[4] === undefined ? 1 : item[4].includes("\t") || item[4].length > 4 ? 1 : item[4].length;
    return {
      is: "item",
      type: item[1] ?? item[3]!,
      offset: indent + wide + gap,
      empty: item[4] === undefined,
      number: item[2] === undefined ? 1 : Number(item[2]),
    };
  }
  return { is: "text" };
}

/** Whether the line makes a heading of the paragraph before it. */
export function underlines(line: Line): boolean {
  return line.indent <= 3 && /^(?:=+|-+)[ \t]*$/.test(line.rest);
}

/** Whether the line closes a fence (of code or maths) that `mark` opened. */
export function closes(line: Line, mark: string): boolean {
  if (line.indent > 3) return false;
  const run = line.rest.trimEnd();
  return run.length >= mark.length && run === mark[0]!.repeat(run.length);
}

const DELIMITERS = /^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

/** Whether two lines are the head of a table: names of columns, then as many runs of dashes. */
export function isTableHead(names: string, delimiters: Line): boolean {
  if (delimiters.indent > 3 || !delimiters.rest.includes("|") || !names.includes("|")) return false;
  return DELIMITERS.test(delimiters.rest) && cells(names) === cells(delimiters.rest);
}

function cells(row: string): number {
  let text = row.trim();
  if (text.startsWith("|")) text = text.slice(1);
  let count = 1;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === "|" && at < text.length - 1) count++;
  }
  return count;
}

/** Whether a line begins a block of its own also where a paragraph at the top could go on. */
export function isCertain({ start }: Line): boolean {
  if (start.is === "item") return !start.empty && start.number === 1;
  return start.is !== "text" && start.is !== "indented" && start.is !== "blank";
}

/** A line of code without the indentation of its fence. */
export function unindented(line: string, indent: number): string {
  let at = 0;
  let column = 0;
  for (; column < indent && (line[at] === " " || line[at] === "\t"); at++)
    column += line[at] === " " ? 1 : 4 - (column % 4);
  return " ".repeat(Math.max(0, column - indent)) + line.slice(at);
}

/** A line of code, unless it is the beginning of what closes the fence. */
export function unfence(line: string, mark: string): string {
  const bare = line.trim();
  return bare !== "" && bare === mark[0]!.repeat(bare.length) ? "" : line;
}

/** A container's line without the marks of containers. */
function insideOf(line: Line): string {
  return line.rest.replace(/^(?:(?:[-+*]|\d{1,9}[.)]|\[\^[^\]]*\]:|>)(?:[ \t]+|$))+/, "");
}

/** What a line of a list, note or quote says of what may follow it. */
export interface Inside {
  /** Whether it opens or closes a fence. */
  readonly fence: boolean;
  /** Whether no paragraph is left open that the next line could go on with. */
  readonly ends: boolean;
}

/** Look at a container's line. */
export function lookInside(line: Line): Inside {
  const inner = insideOf(line);
  const fence = /^(?:`{3,}|~{3,}|\${2,}[^$]*$)/.test(inner);
  return { fence, ends: fence || inner === "" || /^#{1,6}(?:[ \t]|$)/.test(inner) };
}

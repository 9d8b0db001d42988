/** How the end of a text that is still being written is shown: without marks whose meaning is not known yet. */

// Nothing but marks: a list's, a heading's, a quote's, a rule's, a fence's, a table's. What it is tells the next character.
const MARKS_ALONE = /^\s*(?:>\s*)*(?:[-*+]|\d{1,9}[.)]?|#{1,6}|[-=_*\s]+|\$+|\|?[-:|\s]+|\[)?\s*$/;
const FENCE_OPENS = /^\s*(?:`{3}|~{3})/;

/** How far back the beginning of an unfinished link is looked for. */
const LINK_CHARS_MAX = 600;

/**
 * `tail` as it is shown while `line` at its end goes on: a line of which nothing can be said yet is left out, emphasis
 * and code that are not closed are closed, of a link that is not finished only its text is shown.
 */
export function mended(tail: string, line: string): string {
  if (line !== "" && (MARKS_ALONE.test(line) || FENCE_OPENS.test(line) || /^ {0,3}\|/.test(line)))
    return tail.slice(0, tail.length - line.length);
  const from = Math.max(tail.lastIndexOf("\n\n"), 0);
  const last = tail.slice(from);
  if (/^\s*(?:`{3}|~{3}|\${2}|\t| {4})/m.test(last)) return tail;
  return tail.slice(0, from) + closedMarks(withoutHalfLink(last));
}

function withoutHalfLink(text: string): string {
  const open = text.lastIndexOf("[");
  if (open === -1 || text.length - open > LINK_CHARS_MAX || text[open - 1] === "\\") return text;
  const half = /^\[([^\]]*)(?:\]\([^)\s]*(?:\s[^)]*)?|\])?$/.exec(text.slice(open));
  if (!half) return text;
  const image = text[open - 1] === "!";
  return text.slice(0, image ? open - 1 : open) + (image ? "" : half[1]);
}

function closedMarks(text: string): string {
  let code = 0;
  let strong = 0;
  for (const run of text.matchAll(/\\.|`+|\*\*/gs)) {
    if (run[0][0] === "`") code = code === 0 ? run[0].length : code === run[0].length ? 0 : code;
    else if (run[0] === "**" && code === 0) strong++;
  }
  const bare = text.replace(/[ \t\n]+$/, "");
  if (code > 0) return /`$/.test(bare) ? bare.replace(/`+$/, "") : `${bare}${"`".repeat(code)}`;
  if (strong % 2 === 0) return text;
  if (/\*\*$/.test(bare)) return bare.slice(0, -2);
  return /\*$/.test(bare) ? `${bare.slice(0, -1)}**` : `${bare}**`;
}

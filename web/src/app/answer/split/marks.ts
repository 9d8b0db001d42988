/** What one block of an answer defines for others: the addresses of links by reference, and footnotes. */

/** Definitions that are kept of one answer, links and notes each: beyond that a reference stays as it was written. */
export const DEFINITIONS_MAX = 500;

/** What has been defined so far. Another object whenever something was added. */
export interface Marks {
  /** The definition's own line, by label. */
  readonly links: ReadonlyMap<string, string>;
  /** A footnote's number, by label: in the order in which they are defined, which never changes. */
  readonly notes: ReadonlyMap<string, number>;
}

export const NO_MARKS: Marks = Object.freeze({ links: new Map(), notes: new Map() });

// One line, whose address cannot reach beyond it. Others are left to be shown as text.
const DEFINITION =
  /^ {0,3}\[(?!\^)((?:[^[\]\\]|\\.){1,200})\]:[ \t]*(?:<[^<>\\]*>|[^\s<\\()]+)(?:[ \t]+(?:"[^"\\]*"|'[^'\\]*'))?[ \t]*$/;
const REFERENCE = /\[((?:[^[\]\\]|\\.){1,200})\]/g;

/** References looked for in one piece of text. */
const REFERENCES_MAX = 400;

/** How labels are compared: letters of any case, any run of white space. */
export function labelOf(written: string): string {
  return written.replace(/\s+/g, " ").trim().toLowerCase().toUpperCase();
}

/** The link definitions that a paragraph begins with: label and line. */
export function definitionsIn(paragraph: string): [label: string, line: string][] {
  const found: [string, string][] = [];
  if (!/^ {0,3}\[/.test(paragraph)) return found;
  for (const line of paragraph.split("\n")) {
    const match = DEFINITION.exec(line);
    if (!match) break;
    found.push([labelOf(match[1]!), line]);
  }
  return found;
}

/** The labels that a text may refer to: those in square brackets. */
export function referencesIn(source: string): readonly string[] {
  if (!source.includes("[")) return [];
  const labels = new Set<string>();
  for (const match of source.matchAll(REFERENCE)) {
    if (labels.size >= REFERENCES_MAX) break;
    labels.add(match[1]!.startsWith("^") ? `^${labelOf(match[1]!.slice(1))}` : labelOf(match[1]!));
  }
  return [...labels];
}

/** Definitions, as Markdown, of what `references` names, to be put before the text that uses them. */
export function preamble(references: readonly string[], marks: Marks): string {
  let lines = "";
  for (const label of references) {
    if (label.startsWith("^") && marks.notes.has(label.slice(1))) lines += `[^${label.slice(1)}]: .\n\n`;
    else {
      const line = marks.links.get(label);
      if (line !== undefined) lines += `${line}\n\n`;
    }
  }
  return lines;
}

/** What this page reads as Markdown: no HTML, money is not maths, headings below the page's own, footnotes over blocks. */
import type { Options } from "react-markdown";
import remarkGfm from "remark-gfm";
import remarkMath from "remark-math";

/** How a piece stands in its block: alone, as items of a list, rows or head of a table, a stretch of a paragraph, a note. */
export type Mode = "block" | "items" | "rows" | "head" | "stretch" | "note";

/** The page's own headings are h1 and h2. */
const HEADINGS_BELOW = 2;

interface Node {
  type: string;
  children?: Node[];
  value?: string;
  depth?: number;
  spread?: boolean | null;
  identifier?: string;
  data?: Record<string, unknown>;
  position?: { start: { offset?: number }; end: { offset?: number } };
}

interface Reading {
  data(): Record<string, unknown>;
}

/** HTML is text here: never read as HTML, so that there is nothing to clean. */
function withoutHtml(this: Reading): void {
  const data = this.data() as { micromarkExtensions?: unknown[] };
  data.micromarkExtensions ??= [];
  data.micromarkExtensions.push({ disable: { null: ["htmlFlow", "htmlText"] } });
}

function settling(mode: Mode) {
  return () => (root: Node, file: { value: unknown }) => {
    const source = String(file.value);
    settle(root, source);
    if (mode === "block") root.children = (root.children ?? []).map((node) => displayed(node, source));
    // A note's own definition is its last: those before it only make references known.
    const own =
      mode === "note" ? root.children?.findLast((node) => node.type === "footnoteDefinition") : undefined;
    root.children = own ? (own.children ?? []) : (root.children ?? []).flatMap((node) => placed(node, mode));
  };
}

function settle(parent: Node, source: string): void {
  parent.children?.forEach((node, at, all) => {
    if (node.type === "heading") node.depth = Math.min((node.depth ?? 1) + HEADINGS_BELOW, 6);
    else if (node.type === "list") spread(node);
    else if (node.type === "inlineMath" && isMoney(node, source))
      all[at] = { type: "text", value: source.slice(node.position?.start.offset, node.position?.end.offset) };
    else if (node.type === "footnoteReference") all[at] = noteMark(node);
    settle(node, source);
  });
}

/** Paragraphs in items always stand as such, close or apart by style alone: an item looks the same whatever comes after it. */
function spread(list: Node): void {
  const loose = list.spread || list.children?.some((item) => item.spread);
  list.spread = true;
  for (const item of list.children ?? []) item.spread = true;
  list.data = { ...list.data, hProperties: { dataLoose: loose ? "true" : undefined } };
}

/** "$5 and $10" is no formula: one begins and ends with something, and no digit follows it. */
function isMoney(node: Node, source: string): boolean {
  const written = source.slice(node.position?.start.offset, node.position?.end.offset);
  if (written.startsWith("$$")) return false;
  return /^\$\s|\s\$$/.test(written) || /\d/.test(source[node.position?.end.offset ?? 0] ?? "");
}

/** A paragraph that is nothing but `$$…$$` is a formula of its own: models write it in one line as often as in three. */
function displayed(node: Node, source: string): Node {
  const only = node.type === "paragraph" && node.children?.length === 1 ? node.children[0] : undefined;
  if (only?.type !== "inlineMath" || !source.startsWith("$$", only.position?.start.offset)) return node;
  const code = {
    type: "element",
    tagName: "code",
    properties: { className: ["language-math", "math-display"] },
    children: [{ type: "text", value: only.value ?? "" }],
  };
  return { type: "math", data: { hName: "pre", hChildren: [code] } };
}

function noteMark(node: Node): Node {
  const label = node.identifier ?? "";
  return {
    type: "noteMark",
    data: { hName: "x-note", hProperties: { dataNote: label } },
    children: [{ type: "text", value: label }],
  };
}

function placed(node: Node, mode: Mode): Node[] {
  if (node.type === "footnoteDefinition") return [];
  if (node.type === "definition") return [];
  if (mode === "items") {
    if (node.type === "list") return [{ ...node, data: { hName: "x-inside" } }];
    return [{ type: "stray", data: { hName: "li" }, children: [node] }];
  }
  // What is no row while its line is still coming will be a block of its own when the line has ended.
  if (mode === "rows" || mode === "head")
    return node.type === "table" ? [{ ...node, data: { hName: "x-inside" } }] : [];
  if (mode === "stretch" && node.type === "paragraph") return [{ ...node, data: { hName: "x-stretch" } }];
  return [node];
}

const READING = [remarkGfm, remarkMath, withoutHtml] as unknown as NonNullable<Options["remarkPlugins"]>;

function plugins(mode: Mode): NonNullable<Options["remarkPlugins"]> {
  return [...READING, settling(mode) as never];
}

/** The reader's settings for each mode; always the same arrays. */
export const PLUGINS: Readonly<Record<Mode, NonNullable<Options["remarkPlugins"]>>> = {
  block: plugins("block"),
  items: plugins("items"),
  rows: plugins("rows"),
  head: plugins("head"),
  stretch: plugins("stretch"),
  note: plugins("note"),
};

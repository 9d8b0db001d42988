/** A formula as MathML elements, made without any parsing of HTML. Loaded when the first formula is shown. */
import katex from "katex";
import { createElement, type ReactNode } from "react";

/** A node of KaTeX's tree: an element with attributes, a fragment of them, or a text. */
interface Tree {
  readonly type?: string;
  readonly text?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly children?: readonly Tree[];
}

// `__renderToDomTree` stands in the exports but not in the types. `renderToString` would have to be parsed as HTML again,
// which the page's trusted-types policy forbids.
const { __renderToDomTree: treeOf } = katex as unknown as {
  __renderToDomTree(source: string, options: Record<string, unknown>): Tree;
};

/** Macros that are expanded in one formula: enough for any that people write, not for one made to grow. */
const EXPANSIONS_MAX = 300;
/** Sizes are cut to this many em: nothing covers the page. */
const SIZE_MAX_EM = 20;

const ELEMENTS = new Set(
  "math semantics annotation mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd mlabeledtr mstyle mpadded mphantom menclose merror".split(
    " ",
  ),
);
const ATTRIBUTES = new Set(
  "display mathvariant mathcolor mathbackground scriptlevel displaystyle linethickness stretchy symmetric fence separator lspace rspace minsize maxsize accent accentunder width height depth voffset columnalign columnspacing rowspacing columnlines rowlines notation movablelimits largeop encoding form side".split(
    " ",
  ),
);

/** The formula; throws what KaTeX throws where it is none. */
export function formula(source: string, display: boolean): ReactNode {
  const tree = treeOf(source, {
    output: "mathml",
    displayMode: display,
    throwOnError: true,
    trust: false,
    strict: "ignore",
    maxExpand: EXPANSIONS_MAX,
    maxSize: SIZE_MAX_EM,
  });
  return element(tree, 0);
}

function element(node: Tree, key: number): ReactNode {
  if (node.text !== undefined) return node.text;
  const children = (node.children ?? []).map(element);
  if (node.type === undefined || !ELEMENTS.has(node.type)) return children;
  const attributes: Record<string, string> = {};
  for (const [name, value] of Object.entries(node.attributes ?? {}))
    if (ATTRIBUTES.has(name)) attributes[name] = String(value);
  return createElement(node.type, { key, ...attributes }, ...children);
}

/** How each element of an answer's Markdown is shown. */

import { Square, SquareCheck } from "lucide-react";
import { Children, type ComponentProps, type ReactNode } from "react";
import type { Components } from "react-markdown";
import { withBidiShown } from "../address.ts";
import { CodeBlock } from "../code/CodeBlock.tsx";
import { Maths } from "../math/Maths.tsx";
import { Link, Picture } from "./Link.tsx";
import styles from "./markdown.module.css";
import { NoteMark } from "./Notes.tsx";
import type { Mode } from "./syntax.ts";

interface HastNode {
  type?: string;
  tagName?: string;
  value?: string;
  properties?: Record<string, unknown>;
  children?: HastNode[];
}

/** All text in a tree. */
export function textOf(node: HastNode | undefined): string {
  if (node === undefined) return "";
  return node.value ?? (node.children ?? []).map(textOf).join("");
}

function classNames(node: HastNode | undefined): readonly string[] {
  const names = node?.properties?.className;
  return Array.isArray(names) ? names.map(String) : [];
}

type Props<T extends keyof React.JSX.IntrinsicElements> = ComponentProps<T> & { node?: HastNode };

function Inside({ children }: { children?: ReactNode }) {
  return <>{children}</>;
}

/** The same within a table, where no text may stand. */
function RowsInside({ children }: { children?: ReactNode }) {
  return <>{Children.toArray(children).filter((child) => typeof child !== "string")}</>;
}

function Code({ node }: Props<"code">) {
  const text = textOf(node);
  if (classNames(node).includes("math-inline")) return <Maths source={text} />;
  return <code className={styles.code}>{withBidiShown(text)}</code>;
}

function Pre({ node }: Props<"pre">) {
  const code = node?.children?.[0];
  const names = classNames(code);
  const text = textOf(code).replace(/\n$/, "");
  if (names.includes("math-display")) return <Maths source={text} display />;
  const info = names.find((name) => name.startsWith("language-"))?.slice("language-".length) ?? "";
  return <CodeBlock info={info} source={text} />;
}

function Cell(As: "td" | "th") {
  return ({ node, children }: Props<"td">) => {
    const align = String(node?.properties?.align ?? "");
    const extra = As === "th" ? { scope: "col" } : {};
    return (
      <As
        className={align === "right" ? styles.right : align === "center" ? styles.centre : undefined}
        {...extra}
      >
        {children}
      </As>
    );
  };
}

/** The scrolling region that a table stands in. */
export function TableRegion({ children }: { children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields, and a region would be a landmark for each
    <div className={styles.tableRegion} tabIndex={0} role="group" aria-label="Table">
      {children}
    </div>
  );
}

function Checked({ checked }: Props<"input">) {
  const Icon = checked ? SquareCheck : Square;
  return (
    <span role="img" aria-label={checked ? "Done" : "To do"} className={styles.check}>
      <Icon size={16} aria-hidden="true" />
    </span>
  );
}

function listProps(node: HastNode | undefined) {
  const loose = node?.properties?.dataLoose;
  const start = node?.properties?.start;
  return { "data-loose": loose ? "true" : undefined, start: typeof start === "number" ? start : undefined };
}

function heading(Level: "h3" | "h4" | "h5" | "h6") {
  return ({ children }: { children?: ReactNode }) => <Level className={styles.heading}>{children}</Level>;
}

const BLOCK = {
  a: ({ node, children }: Props<"a">) => (
    <Link written={String(node?.properties?.href ?? "")} text={textOf(node)}>
      {children}
    </Link>
  ),
  img: ({ node }: Props<"img">) => (
    <Picture written={String(node?.properties?.src ?? "")} alt={String(node?.properties?.alt ?? "")} />
  ),
  code: Code,
  pre: Pre,
  table: ({ children }: Props<"table">) => (
    <TableRegion>
      <table className={styles.table}>{children}</table>
    </TableRegion>
  ),
  td: Cell("td"),
  th: Cell("th"),
  tr: ({ children }: Props<"tr">) => <tr>{children}</tr>,
  thead: ({ children }: Props<"thead">) => <thead>{children}</thead>,
  tbody: ({ children }: Props<"tbody">) => <tbody>{children}</tbody>,
  p: ({ children }: Props<"p">) => <p className={styles.paragraph}>{children}</p>,
  ul: ({ node, children }: Props<"ul">) => <ul data-loose={listProps(node)["data-loose"]}>{children}</ul>,
  ol: ({ node, children }: Props<"ol">) => <ol {...listProps(node)}>{children}</ol>,
  li: ({ node, children }: Props<"li">) => (
    <li className={classNames(node).includes("task-list-item") ? styles.task : undefined}>{children}</li>
  ),
  blockquote: ({ children }: Props<"blockquote">) => (
    <blockquote className={styles.quote}>{children}</blockquote>
  ),
  h3: heading("h3"),
  h4: heading("h4"),
  h5: heading("h5"),
  h6: heading("h6"),
  hr: () => <hr className={styles.rule} />,
  input: Checked,
  "x-note": ({ node }: { node?: HastNode }) => <NoteMark label={String(node?.properties?.dataNote ?? "")} />,
  "x-inside": Inside,
  "x-stretch": ({ children }: { children?: ReactNode }) => <span className={styles.stretch}>{children}</span>,
};

/** What stands for each element, by how the piece stands in its block; always the same objects. */
export const ELEMENTS: Readonly<Record<Mode, Components>> = {
  block: BLOCK as unknown as Components,
  items: BLOCK as unknown as Components,
  note: BLOCK as unknown as Components,
  stretch: BLOCK as unknown as Components,
  rows: { ...BLOCK, "x-inside": RowsInside, thead: () => null, tbody: RowsInside } as unknown as Components,
  head: { ...BLOCK, "x-inside": RowsInside, tbody: () => null } as unknown as Components,
};

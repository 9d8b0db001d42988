/** One piece of Markdown, read once when it is closed, and while it is open as often as it changes, up to a bound. */
import { memo, useContext, useMemo } from "react";
import Reader from "react-markdown";
import type { Piece } from "../split/cut.ts";
import { preamble, referencesIn } from "../split/marks.ts";
import { mended } from "../split/mend.ts";
import { ELEMENTS } from "./elements.tsx";
import styles from "./markdown.module.css";
import { MarksContext } from "./Notes.tsx";
import { type Mode, PLUGINS } from "./syntax.ts";

/**
 * An open piece is read again with each change up to this length. Beyond, it is read at each doubling, and what came
 * since is shown as it was written: over its life that costs twice its length, whatever it holds.
 */
const OPEN_CHARS_MAX = 6_000;

/** How much of an open piece of this length is read as Markdown. */
function readLength(length: number): number {
  if (length <= OPEN_CHARS_MAX) return length;
  return OPEN_CHARS_MAX * 2 ** Math.floor(Math.log2(length / OPEN_CHARS_MAX));
}

interface PieceProps {
  readonly piece: Piece;
  readonly mode: Mode;
  /** What stands before the piece when it is read: a table's head. */
  readonly before?: string;
}

/** A piece as its elements. */
export const PieceView = memo(function PieceView({ piece, mode, before = "" }: PieceProps) {
  const marks = useContext(MarksContext);
  const { source, rest } = piece.open ? openText(piece) : { source: piece.source, rest: "" };
  const references = useMemo(() => (piece.open ? [] : referencesIn(piece.source)), [piece]);
  const known = preamble(piece.open ? referencesIn(source) : references, marks);
  const Rest = mode === "items" ? "li" : mode === "rows" ? "tr" : "span";
  return (
    <>
      <ReadText source={known + before + source} mode={mode} />
      {rest !== "" && <Rest className={styles.rest}>{mode === "rows" ? <td>{rest}</td> : rest}</Rest>}
    </>
  );
});

const ReadText = memo(function ReadText({ source, mode }: { source: string; mode: Mode }) {
  return (
    <Reader remarkPlugins={PLUGINS[mode]} components={ELEMENTS[mode]} urlTransform={written}>
      {source}
    </Reader>
  );
});

/** Addresses are checked where they are used, by Link and Picture; those of anything else are dropped. */
function written(address: string, name: string, node: { tagName: string }): string {
  return (node.tagName === "a" && name === "href") || (node.tagName === "img" && name === "src")
    ? address
    : "";
}

function openText(piece: Piece): { source: string; rest: string } {
  const length = readLength(piece.source.length);
  if (length === piece.source.length) return { source: mended(piece.source, piece.line), rest: "" };
  const cut = piece.source.lastIndexOf("\n", length) + 1 || length;
  return { source: piece.source.slice(0, cut), rest: piece.source.slice(cut) };
}

/** Markdown that grows: what is closed is read once and kept, one open piece at the end is read again. */
import { classes } from "@app/design/index.ts";
import { memo, type ReactNode, useId, useState } from "react";
import { CodePieces } from "../code/CodeBlock.tsx";
import { Diagram, isDiagram } from "../diagram/Diagram.tsx";
import type { Block, Cut, Piece } from "../split/cut.ts";
import type { Chapters } from "../split/rope.ts";
import { TableRegion } from "./elements.tsx";
import styles from "./markdown.module.css";
import { MarksContext, NoteIds, Notes } from "./Notes.tsx";
import { PieceView } from "./PieceView.tsx";
import { SourceReader } from "./sourceReader.ts";
import type { Mode } from "./syntax.ts";

/** A text in the pieces in which it came: `chunks` is only ever added to while the text lives. */
export interface MarkdownSource {
  readonly chunks: readonly string[];
  readonly done: boolean;
}

/** A text of Markdown, safe whatever it holds. A change costs what is new, not what is there. */
export function Markdown({ source }: { source: MarkdownSource }) {
  const [reader] = useState(() => new SourceReader());
  // Reading on is idempotent: the same chunks read twice change nothing, so it may happen while rendering.
  return <CutView cut={reader.read(source.chunks, source.done)} />;
}

const CutView = memo(function CutView({ cut }: { cut: Cut }) {
  const ids = useId();
  return (
    <MarksContext value={cut.marks}>
      <NoteIds value={ids}>
        <div className={styles.markdown} data-open={cut.done ? undefined : "true"}>
          {cut.blocks.map((chapter, at) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: chapters are never moved
            <Chapter key={at} blocks={chapter} />
          ))}
          <Notes notes={cut.notes} />
        </div>
      </NoteIds>
    </MarksContext>
  );
});

const Chapter = memo(function Chapter({ blocks }: { blocks: readonly Block[] }) {
  return (
    <div className={styles.chapter}>
      {blocks.map((block) => (
        <BlockView key={block.key} block={block} />
      ))}
    </div>
  );
});

const BlockView = memo(function BlockView({ block }: { block: Block }) {
  switch (block.kind) {
    case "code":
      if (isDiagram(block.head)) return <Diagram source={textOf(block.pieces)} open={block.open} />;
      return <CodePieces info={block.head} pieces={block.pieces} open={block.open} />;
    case "list":
      return block.pieces.map((chapter, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: chapters are never moved
        <ListChapter key={at} chapter={chapter} head={block.head} loose={block.loose} />
      ));
    case "table":
      return (
        <TableRegion>
          {(block.pieces.length === 0 ? NO_ROWS : block.pieces).map((chapter, at, all) => (
            <TableChapter
              // biome-ignore lint/suspicious/noArrayIndexKey: chapters are never moved
              key={at}
              chapter={chapter}
              head={block.head}
              goesOn={at > 0}
              long={all.length > 1}
            />
          ))}
        </TableRegion>
      );
    default:
      if (block.pieces.length > 1 || (block.pieces[0]?.length ?? 0) > 1)
        return (
          <p className={styles.paragraph}>
            <Pieces pieces={block.pieces} mode="stretch" />
          </p>
        );
      return <Pieces pieces={block.pieces} mode="block" />;
  }
});

/** A list, or some hundreds of a very long one's items: as one list, each new item would have all of them laid out again. */
const ListChapter = memo(function ListChapter(props: {
  chapter: readonly Piece[];
  head: string;
  loose: boolean;
}) {
  const first = props.chapter[0]!.before;
  const number = /^\d+/.exec(props.head)?.[0];
  const start = Number(number) + first;
  const rest = {
    "data-loose": props.loose ? "true" : undefined,
    className: first > 0 ? styles.goesOn : undefined,
  };
  const items = <PieceChapter chapter={props.chapter} mode="items" before="" />;
  if (number === undefined) return <ul {...rest}>{items}</ul>;
  return (
    <ol {...rest} start={start === 1 ? undefined : start}>
      {items}
    </ol>
  );
});

const NO_ROWS: Chapters<Piece> = [[]];

/**
 * A table, or some hundreds of a very long one's rows: of one table all rows would be laid out again for each that comes.
 * The columns of a long one are equally wide, so that its tables stand as one.
 */
const TableChapter = memo(function TableChapter(props: {
  chapter: readonly Piece[];
  head: string;
  goesOn: boolean;
  long: boolean;
}) {
  const { chapter, head, goesOn, long } = props;
  return (
    <table
      className={classes(styles.table, long && styles.fixed)}
      aria-label={goesOn ? "The table goes on" : undefined}
    >
      {!goesOn && <PieceView piece={headOf(head)} mode="head" />}
      {chapter.length > 0 && (
        <tbody>
          <PieceChapter chapter={chapter} mode="rows" before={head} />
        </tbody>
      )}
    </table>
  );
});

function Pieces({ pieces, mode }: { pieces: Chapters<Piece>; mode: Mode }): ReactNode {
  return pieces.map((chapter, at) => (
    // biome-ignore lint/suspicious/noArrayIndexKey: chapters are never moved
    <PieceChapter key={at} chapter={chapter} mode={mode} before="" />
  ));
}

const PieceChapter = memo(function PieceChapter(props: {
  chapter: readonly Piece[];
  mode: Mode;
  before: string;
}) {
  return props.chapter.map((piece) => (
    <PieceView key={piece.key} piece={piece} mode={props.mode} before={props.before} />
  ));
});

/** A table's head as a piece; the same head gives an equal piece, whose reading is kept by its text. */
function headOf(head: string): Piece {
  return { key: 0, source: head, line: "", open: false, before: 0 };
}

function textOf(pieces: Chapters<Piece>): string {
  return pieces.flatMap((chapter) => chapter.map((piece) => piece.source)).join("");
}

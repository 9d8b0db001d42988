/** Footnotes: the marks in the text, and the notes at its end. */
import { createContext, useContext, useId } from "react";
import type { Block } from "../split/cut.ts";
import { labelOf, type Marks, NO_MARKS } from "../split/marks.ts";
import styles from "./markdown.module.css";
import { PieceView } from "./PieceView.tsx";

/** What has been defined in the text that a piece belongs to. */
export const MarksContext = createContext<Marks>(NO_MARKS);
/** What the ids of this text's notes begin with: several answers stand on one page. */
export const NoteIds = createContext("");

/** The number of a footnote, in the text; pressing it leads to the note. */
export function NoteMark({ label }: { label: string }) {
  const number = useContext(MarksContext).notes.get(labelOf(label));
  const prefix = useContext(NoteIds);
  const show = () => {
    const note = document.getElementById(`${prefix}note-${number}`);
    note?.scrollIntoView({ block: "center" });
    note?.focus({ preventScroll: true });
  };
  return (
    <sup>
      <button type="button" className={styles.noteMark} aria-label={`Footnote ${number}`} onClick={show}>
        {number}
      </button>
    </sup>
  );
}

/** All notes, in the order of their numbers. */
export function Notes({ notes }: { notes: readonly Block[] }) {
  const prefix = useContext(NoteIds);
  const title = useId();
  if (notes.length === 0) return null;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields, and a region would be a landmark for each
    <div className={styles.notes} role="group" aria-labelledby={title}>
      <h3 id={title} className="visually-hidden">
        Footnotes
      </h3>
      <ol>
        {notes.map((note, at) => (
          <li key={note.key} id={`${prefix}note-${at + 1}`} tabIndex={-1}>
            {note.pieces.map((chapter) =>
              chapter.map((piece) => <PieceView key={piece.key} piece={piece} mode="note" />),
            )}
          </li>
        ))}
      </ol>
    </div>
  );
}

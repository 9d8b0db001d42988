/** Something that is folded away under one line: a button that opens a region. */
import { ChevronRight } from "lucide-react";
import { type ReactNode, useId, useState } from "react";
import styles from "./parts.module.css";

interface FoldProps {
  /** What the line says. */
  readonly summary: ReactNode;
  readonly icon?: ReactNode;
  /** Made only while it is open. */
  readonly children: () => ReactNode;
  /** Open from the beginning. */
  readonly unfolded?: boolean;
  /** What the line says at its end, more quietly. */
  readonly aside?: ReactNode;
}

export function Fold({ summary, icon, aside, unfolded = false, children }: FoldProps) {
  const [open, setOpen] = useState(unfolded);
  const id = useId();
  return (
    <div className={styles.fold}>
      <button
        type="button"
        className={styles.foldLine}
        aria-expanded={open}
        aria-controls={id}
        onClick={() => setOpen(!open)}
      >
        {icon}
        <span className={styles.foldSummary}>{summary}</span>
        {aside && <span className={styles.aside}>{aside}</span>}
        <ChevronRight
          size={16}
          className={open ? `${styles.chevron} ${styles.turned}` : styles.chevron}
          aria-hidden="true"
        />
      </button>
      <div id={id} hidden={!open} className={styles.foldBody}>
        {open && children()}
      </div>
    </div>
  );
}

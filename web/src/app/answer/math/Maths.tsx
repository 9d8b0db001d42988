/** A formula: its source until the renderer is there, and where it cannot be read. */
import { useEffect, useMemo, useSyncExternalStore } from "react";
import styles from "../markdown/markdown.module.css";
import type { formula } from "./formula.ts";

/** Longer formulas are shown as they were written. */
const FORMULA_CHARS_MAX = 4_000;

let loaded: typeof formula | null = null;
let loading: Promise<void> | null = null;
const listeners = new Set<() => void>();

/** Begin loading what renders formulas; resolves when it is there, or cannot be had. */
export function loadMaths(): Promise<void> {
  loading ??= import("./formula.ts").then(
    (module) => {
      loaded = module.formula;
      for (const listener of listeners) listener();
    },
    () => {
      loading = null;
    },
  );
  return loading;
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

/** `source` is TeX without its dollar signs. */
export function Maths({ source, display = false }: { source: string; display?: boolean }) {
  const render = useSyncExternalStore(subscribe, () => loaded);
  useEffect(() => void loadMaths(), []);
  const shown = useMemo(() => {
    if (!render || source.length > FORMULA_CHARS_MAX || source.trim() === "") return null;
    try {
      return render(source, display);
    } catch {
      return null; // it is no TeX: what was written says more than an error does
    }
  }, [render, source, display]);
  const fallback = <code className={styles.code}>{source}</code>;
  if (!display) return <span className={styles.maths}>{shown ?? fallback}</span>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by the keyboard
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields, and a region would be a landmark for each
    <div className={styles.mathsDisplay} tabIndex={0} role="group" aria-label="Formula">
      {shown ?? <pre>{fallback}</pre>}
    </div>
  );
}

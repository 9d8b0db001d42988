/** Markdown as most of the page knows it: what reads it comes when it is first wanted, and until then the text stands plain. */
import { useEffect, useState } from "react";
import type { MarkdownSource, Markdown as Whole } from "./Markdown.tsx";
import styles from "./markdown.module.css";

let whole: typeof Whole | null = null;
let coming: Promise<void> | null = null;

/** Fetches what reads Markdown. The page calls it when it has nothing better to do, so that a first answer need not wait. A
 * failure is tried again at the next call. */
export function loadMarkdown(): Promise<void> {
  coming ??= import("./Markdown.tsx").then(
    (module) => {
      whole = module.Markdown;
    },
    () => {
      coming = null;
    },
  );
  return coming;
}

/** A text of Markdown, safe whatever it holds. A change costs what is new, not what is there. */
export function Markdown({ source }: { source: MarkdownSource }) {
  const [, arrived] = useState(whole !== null);
  useEffect(() => {
    if (whole !== null) return;
    let gone = false;
    void loadMarkdown().then(() => {
      if (!gone) arrived(true);
    });
    return () => {
      gone = true;
    };
  }, []);
  if (whole === null) return <div className={styles.plain}>{source.chunks.join("")}</div>;
  const Present = whole;
  return <Present source={source} />;
}

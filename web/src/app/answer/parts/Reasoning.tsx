/** What the model thought on the way: folded, one live line while it thinks. */
import { formatDuration } from "@app/design/index.ts";
import type { ReasoningPart } from "@sdk";
import { Sparkles } from "lucide-react";
import { createContext, useContext } from "react";
import { Markdown } from "../markdown/lazy.tsx";
import { Fold } from "./Fold.tsx";
import styles from "./parts.module.css";
import { useNow } from "./ticking.ts";

/** Whether thoughts are shown unfolded: the person's choice, given by whoever shows answers. */
export const ThoughtsUnfolded = createContext(false);

export function Reasoning({ part, running }: { part: ReasoningPart; running: boolean }) {
  const thinking = part.open && running;
  const unfolded = useContext(ThoughtsUnfolded);
  return (
    <Fold
      unfolded={unfolded}
      icon={<Sparkles size={16} className={thinking ? styles.pulsing : undefined} aria-hidden="true" />}
      summary={thinking ? "Thinking…" : "Thoughts"}
      aside={thinking ? <Since at={part.at} /> : part.chunks.length === 0 ? "nothing written" : null}
    >
      {() => (
        <div className={styles.thoughts}>
          <Markdown source={{ chunks: part.chunks, done: !thinking }} />
        </div>
      )}
    </Fold>
  );
}

/** How long it has been going on. Below two seconds it says nothing. */
export function Since({ at }: { at: number }) {
  const ms = useNow(true) - at;
  return (
    <span className={styles.numbers}>
      {ms >= 2_000 ? formatDuration(Math.floor(ms / 1_000) * 1_000) : ""}
    </span>
  );
}

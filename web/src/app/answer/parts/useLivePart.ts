/** One part of an answer that is followed: its reader is told at most once a frame. */
import type { Answer, Part } from "@sdk";
import { useEffect, useReducer } from "react";

/** A hidden page has no frames; it is told this often instead. */
const HIDDEN_MS = 250;

/** Run `run` at the next frame; the returned function calls it off. */
function nextFrame(run: () => void): () => void {
  if (typeof requestAnimationFrame !== "function" || document.hidden) {
    const timer = setTimeout(run, HIDDEN_MS);
    return () => clearTimeout(timer);
  }
  const frame = requestAnimationFrame(run);
  return () => cancelAnimationFrame(frame);
}

/** The part as it is now; `given` where nothing is followed. The first change after a frame is shown at once, others wait for the next. */
export function useLivePart(live: Answer | undefined, index: number, given: Part): Part {
  const [, again] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    if (!live) return;
    let cancel: (() => void) | null = null;
    let missed = false;
    const tick = () => {
      cancel = null;
      if (!missed) return;
      missed = false;
      again();
      cancel = nextFrame(tick);
    };
    const stop = live.part(index).subscribe(() => {
      if (cancel) {
        missed = true;
        return;
      }
      again();
      cancel = nextFrame(tick);
    });
    again(); // it may have changed between rendering and listening
    return () => {
      stop();
      cancel?.();
    };
  }, [live, index]);
  if (!live) return given;
  const part = live.part(index).get();
  return part.kind === given.kind ? part : given;
}

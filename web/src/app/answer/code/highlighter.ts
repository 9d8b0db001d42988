/** The highlighter, loaded when first asked for; code is shown plain until it is there, and if it never comes. */
import { useEffect, useSyncExternalStore } from "react";
import type { Token } from "./languages.ts";

/** Code longer than this stays in pieces that are highlighted each on its own: some 60 ms of work at once. */
export const HIGHLIGHT_CHARS_MAX = 60_000;

export type Highlight = (code: string, language: string) => readonly Token[] | null;

let loaded: Highlight | null = null;
let loading: Promise<void> | null = null;
const listeners = new Set<() => void>();

/** Begin loading it; resolves when it is there, or cannot be had. */
export function loadHighlighter(): Promise<void> {
  loading ??= import("./languages.ts").then(
    (module) => {
      loaded = module.tokensOf;
      for (const listener of listeners) listener();
    },
    () => {
      loading = null; // the next code that is shown tries again
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

/** The highlighter, or null while it is not there. */
export function useHighlight(wanted: boolean): Highlight | null {
  const highlight = useSyncExternalStore(subscribe, () => loaded);
  useEffect(() => {
    if (wanted) void loadHighlighter();
  }, [wanted]);
  return wanted ? highlight : null;
}

/** Tokens cut into as many runs as there are pieces of the code they were made of. */
export function cutTokens(
  tokens: readonly Token[],
  lengths: readonly number[],
): readonly (readonly Token[])[] {
  const runs: Token[][] = [];
  let at = 0;
  let rest = tokens[0];
  for (const length of lengths) {
    const run: Token[] = [];
    let room = length;
    while (room > 0 && rest) {
      const text = rest.text.slice(0, room);
      run.push({ kind: rest.kind, text });
      room -= text.length;
      rest =
        text.length < rest.text.length
          ? { kind: rest.kind, text: rest.text.slice(text.length) }
          : tokens[++at];
    }
    runs.push(run);
  }
  return runs;
}

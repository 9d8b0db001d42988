/** Heights of rows as they were last measured, per thread: a thread that is opened again is laid out as it was left. */
import type { ThreadMessage } from "@app/model/index.ts";

/** Threads whose heights are kept. */
const THREADS_MAX = 24;
/** Before a row was measured: the chrome around a message, and a line of text for so many characters. */
const CHROME_PX = 72;
const LINE_PX = 26;
const LINE_CHARS = 78;
/** No single guess is higher: a wrong one costs a correction, a huge one a jump of the scroll bar. */
const GUESS_MAX_PX = 4_000;

const threads = new Map<string, Map<string, number>>();

/** The heights known of a thread, by message id. The same map for the same thread while it is kept. */
export function sizesOf(threadKey: string): Map<string, number> {
  const kept = threads.get(threadKey) ?? new Map<string, number>();
  threads.delete(threadKey);
  threads.set(threadKey, kept);
  if (threads.size > THREADS_MAX) {
    const oldest = threads.keys().next();
    if (!oldest.done) threads.delete(oldest.value);
  }
  return kept;
}

/** A guess at a row's height in px, from how much it says. */
export function guessSize(message: ThreadMessage): number {
  let chars = message.text.length;
  for (const part of message.parts ?? []) {
    // Pieces are counted, not joined: the guess must not cost the text.
    if (part.kind === "text") for (const piece of part.chunks) chars += piece.length;
  }
  return Math.min(GUESS_MAX_PX, CHROME_PX + Math.ceil(chars / LINE_CHARS) * LINE_PX);
}

/** What the composer does with keys and sizes, without a DOM. */

/** Below this share of the limit nobody needs to be told how long a text is. */
const COUNT_FROM_SHARE = 0.8;
/** Used where the server told no limit: the protocol's own. */
export const TEXT_BYTES_MAX = 524_288;

const encoder = new TextEncoder();

/** How many UTF-8 bytes a text has. Cheap for short texts: one that cannot reach `enough` is not encoded. */
export function bytesOf(text: string, enough = 0): number {
  // A UTF-16 unit is at most three bytes: far below the limit the upper bound says enough.
  if (text.length * 3 < enough) return text.length * 3;
  return encoder.encode(text).byteLength;
}

/** How a text stands to the limit: `left` in bytes, negative over it; `tell` once it is near. */
export function roomFor(text: string, bytesMax: number): { left: number; tell: boolean; over: boolean } {
  const tellFrom = bytesMax * COUNT_FROM_SHARE;
  const bytes = bytesOf(text, tellFrom);
  return { left: bytesMax - bytes, tell: bytes >= tellFrom, over: bytes > bytesMax };
}

/** What a key press in the composer means. */
export type KeyMeaning = "send" | "newline" | "editLast" | "leave" | "nothing";

/** The parts of a keyboard event that decide. */
export interface KeyPress {
  readonly key: string;
  readonly shiftKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  /** True while an input method composes: then every key belongs to it. */
  readonly isComposing: boolean;
  /** 229 in browsers that report the key that ends a composition after they ended it. */
  readonly keyCode: number;
}

/** What a key press means, given whether Enter alone sends and whether there is nothing in the composer. */
export function keyMeaning(press: KeyPress, state: { enterSends: boolean; empty: boolean }): KeyMeaning {
  if (press.isComposing || press.keyCode === 229) return "nothing";
  if (press.key === "Enter") {
    if (press.shiftKey || press.altKey) return "newline";
    if (press.ctrlKey || press.metaKey) return "send";
    return state.enterSends ? "send" : "newline";
  }
  const plain = !(press.shiftKey || press.ctrlKey || press.metaKey || press.altKey);
  if (press.key === "ArrowUp" && plain && state.empty) return "editLast";
  if (press.key === "Escape" && plain) return "leave";
  return "nothing";
}

/** A size for people: bytes below a kilobyte, then kB. */
export function formatBytes(bytes: number): string {
  return bytes < 1_000 ? `${bytes} bytes` : `${Math.round(bytes / 1_000).toLocaleString("en")} kB`;
}

/** Whether the composer offers to stop instead of to send: there is nothing to send, or it waits for the answer. */
export function offersStop(state: { running: boolean; waiting: boolean; empty: boolean }): boolean {
  return state.running && (state.waiting || state.empty);
}

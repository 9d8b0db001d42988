/**
 * Which messages the chat runtime is told about.
 *
 * The runtime keeps some objects for every message and walks all of them when one changes, so that with thousands of
 * messages each change of structure would cost a visible pause. It is told about a window around what is on screen,
 * cut at chunk borders so that scrolling moves it seldom, and about a few more: the end of the thread and what is
 * being edited. The parents inside a window are the neighbours there; nothing is read from them.
 */

/** Up to here the runtime knows the whole thread: its changes stay within a frame. */
export const WINDOW_ALL_MAX = 128;
/** Messages known beyond each end of what is mounted, so that the window has moved before its edge is in sight. */
export const WINDOW_MARGIN = 24;
/** The grid on which a window is cut: it moves once in so many messages. */
export const WINDOW_CHUNK = 32;
/** Messages at the end that are always known: the last turn. */
const WINDOW_TAIL = 2;

/** A half-open range of indexes. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** The window around the mounted rows `[first, last]` in a thread of `count` messages, cut at the grid. */
export function windowAround(count: number, first: number, last: number): Span {
  if (count <= WINDOW_ALL_MAX) return { from: 0, to: count };
  const low = Math.max(0, Math.min(first, count - 1) - WINDOW_MARGIN);
  const high = Math.min(count, Math.max(last, 0) + 1 + WINDOW_MARGIN);
  return {
    from: Math.floor(low / WINDOW_CHUNK) * WINDOW_CHUNK,
    to: Math.min(count, Math.ceil(high / WINDOW_CHUNK) * WINDOW_CHUNK),
  };
}

/** The indexes of a window with the tail and the pinned ones, ascending. */
export function windowIndexes(count: number, span: Span, pinned: readonly number[] = []): number[] {
  const indexes = new Set<number>();
  for (let index = Math.max(0, span.from); index < Math.min(count, span.to); index += 1) indexes.add(index);
  for (let index = Math.max(0, count - WINDOW_TAIL); index < count; index += 1) indexes.add(index);
  for (const index of pinned) if (index >= 0 && index < count) indexes.add(index);
  return [...indexes].sort((a, b) => a - b);
}

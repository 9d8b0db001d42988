/**
 * Where a thread stays when its contents change, as plain arithmetic without a DOM.
 *
 * A thread either follows its end ("end") or stays where the person left it ("free"). While free, what the person sees
 * is held by anchors: some rows and where their tops were, relative to the top of the viewport. Whatever changes above,
 * the first anchor that is still there says by how much to correct the scroll position. Several are kept because the
 * row at the top may be the one that goes away: another branch takes its place, or it is deleted.
 */

/** Whether new output pulls the view along. */
export type Follow = "end" | "free";

/** A row and where its top is: px below the viewport's top, negative above it. */
export interface Anchor {
  readonly id: string;
  readonly offset: number;
}

/** Where a mounted row lies: px relative to the viewport's top. */
export interface RowBox {
  readonly id: string;
  readonly top: number;
  readonly bottom: number;
}

/** What a scroll position is judged by, in px, as an element tells it. */
export interface ScrollView {
  readonly top: number;
  readonly height: number;
  readonly viewport: number;
}

/** Within so many px of the end one is at the end: less than a line, more than rounding and rubber bands. */
export const END_SLACK_PX = 20;
/** Rows that are remembered as anchors: the one at the top, what follows it, and one above as the last resort. */
const ANCHORS_MAX = 4;
/** A correction below this is rounding. */
const CORRECTION_MIN_PX = 0.5;

/** How far it is to the end, in px, never negative. */
export function toEnd(view: ScrollView): number {
  return Math.max(0, view.height - view.viewport - view.top);
}

/**
 * What the view does after a scroll that the person made. Any move up lets go, however small, so that a slow wheel is
 * not pulled back by streaming output; only a move down to the end, or a view clamped to it, follows again.
 */
export function followAfterScroll(was: Follow, before: ScrollView, now: ScrollView): Follow {
  const distance = toEnd(now);
  if (now.top < before.top - 1) {
    // Contents that shrank clamp the position to the end: that is no move of the person's.
    return distance < 1 && now.height < before.height ? was : "free";
  }
  if (distance <= END_SLACK_PX) return "end";
  return now.top > before.top + 1 ? "free" : was;
}

/** The anchors of what is in view: first the topmost visible row, then those below it, at last the row above. */
export function pickAnchors(rows: readonly RowBox[], viewport: number): Anchor[] {
  const first = rows.findIndex((row) => row.bottom > 0);
  if (first < 0) return [];
  const picked: Anchor[] = [];
  for (let index = first; index < rows.length && picked.length < ANCHORS_MAX - 1; index += 1) {
    const row = rows[index]!;
    if (row.top >= viewport && picked.length > 0) break;
    picked.push({ id: row.id, offset: row.top });
  }
  const above = rows[first - 1];
  if (above) picked.push({ id: above.id, offset: above.top });
  return picked;
}

/**
 * By how many px to scroll so that the first anchor that still exists is where it was: 0 where it is already, null
 * where none of them is mounted. `topOf` tells where a row is now, or undefined.
 */
export function correction(
  anchors: readonly Anchor[],
  topOf: (id: string) => number | undefined,
): number | null {
  for (const anchor of anchors) {
    const top = topOf(anchor.id);
    if (top === undefined) continue;
    const by = top - anchor.offset;
    return Math.abs(by) < CORRECTION_MIN_PX ? 0 : by;
  }
  return null;
}

/** The scroll position of the first anchor that is in the list, from the sizes of all rows; null where none is. */
export function offsetOfAnchor(
  anchors: readonly Anchor[],
  ids: readonly string[],
  sizeOf: (index: number) => number,
  padding: number,
): number | null {
  const places = new Map(ids.map((id, index) => [id, index]));
  for (const anchor of anchors) {
    const place = places.get(anchor.id);
    if (place === undefined) continue;
    let start = padding;
    for (let index = 0; index < place; index += 1) start += sizeOf(index);
    return Math.max(0, start - anchor.offset);
  }
  return null;
}

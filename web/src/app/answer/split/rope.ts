/** A list that is only added to, kept in chapters so that a reader who has seen a chapter need not look at it again. */

/** Items of a chapter: few enough that adding copies little, many enough that a long answer has few chapters. */
const CHAPTER_ITEMS = 32;

/** Items in order; every chapter but the last is full and stays the same array for ever. */
export type Chapters<T> = readonly (readonly T[])[];

export const NO_CHAPTERS: Chapters<never> = Object.freeze([]);

/** The same items with one more at the end. */
export function added<T>(chapters: Chapters<T>, item: T): Chapters<T> {
  const last = chapters.at(-1);
  if (last === undefined || last.length >= CHAPTER_ITEMS) return [...chapters, [item]];
  return [...chapters.slice(0, -1), [...last, item]];
}

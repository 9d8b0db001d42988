/**
 * Keeps the focus where it was when another version takes a message's place: the element that had it goes away with the
 * version, and the focus would fall back to the page's beginning.
 */

/** Where the focus was: which message by its place in the thread, and which button of it, "" for the message itself. */
export interface FocusPlace {
  readonly index: number;
  readonly messageId: string;
  readonly label: string;
}

/** Where the focus is, if it is in the row of `messageId`; `index` is that message's place. Null otherwise. */
export function focusIn(messageId: string, index: number): FocusPlace | null {
  const focused = document.activeElement;
  const row = focused?.closest<HTMLElement>("[data-row]");
  if (!focused || row?.dataset.row !== messageId) return null;
  return { index, messageId, label: focused.getAttribute("aria-label") ?? "" };
}

/** Focuses the same thing in the row that stands at the place now; a button that is gone or disabled gives way to the message. */
export function refocus(place: FocusPlace, row: HTMLElement): void {
  const buttons = [...row.querySelectorAll<HTMLButtonElement>("button[aria-label]:not(:disabled)")];
  const same = buttons.find((button) => button.getAttribute("aria-label") === place.label);
  (same ?? row.querySelector<HTMLElement>("[data-message-id]"))?.focus({ preventScroll: true });
}

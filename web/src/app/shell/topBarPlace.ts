/** The middle of the narrow screen's top bar: a screen with a head of its own puts it there, so that a phone has one bar, not two. */
import { useSyncExternalStore } from "react";

let place: HTMLElement | null = null;
const listeners = new Set<() => void>();

/** The bar's ref: says where the middle is, and null when the bar is gone. */
export function setTopBarPlace(element: HTMLElement | null): void {
  place = element;
  for (const listener of listeners) listener();
}

/** The element to render a head into; null on a wide screen, where the head stands in its screen. */
export function useTopBarPlace(): HTMLElement | null {
  return useSyncExternalStore(subscribe, () => place);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
  };
}

/** Which dialog of the shell is open: one at a time, from anywhere. */
import { useSyncExternalStore } from "react";

/** The shell's dialogs, and `drawer`: the sidebar on a narrow screen. */
export type Overlay = "palette" | "help" | "settings" | "token" | "drawer";

let current: Overlay | null = null;
const listeners = new Set<() => void>();

/** Opens that dialog instead of the one that is open; `null` closes it. */
export function openOverlay(next: Overlay | null): void {
  if (next === current) return;
  current = next;
  for (const listener of listeners) listener();
}

/** Closes it only if it is the one that is open. */
export function closeOverlay(which: Overlay): void {
  if (current === which) openOverlay(null);
}

/** The open dialog, or null. */
export function useOverlay(): Overlay | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

/** Media queries as React state. */
import { useCallback, useSyncExternalStore } from "react";

/** Below this width the sidebar is a drawer; the style sheets say the same number. */
export const NARROW = "(max-width: 720px)";

/** Whether the query holds now. */
export function useMedia(query: string): boolean {
  const subscribe = useCallback(
    (listener: () => void) => {
      const list = matchMedia(query);
      list.addEventListener("change", listener);
      return () => list.removeEventListener("change", listener);
    },
    [query],
  );
  return useSyncExternalStore(subscribe, () => matchMedia(query).matches);
}

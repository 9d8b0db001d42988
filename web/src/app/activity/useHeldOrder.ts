/** Holds the order of rows still while somebody points at them or has scrolled, and counts what came meanwhile. */
import type { RequestRow } from "@sdk";
import { type PointerEvent, type RefObject, useCallback, useLayoutEffect, useRef, useState } from "react";
import { arrange } from "./rows.ts";

/** Scrolled less than this still counts as being at the top. */
const TOP_PX = 8;

interface HeldOrder {
  readonly order: readonly string[];
  readonly fresh: number;
  /** Show what came, from the top. */
  readonly release: () => void;
  readonly onScroll: () => void;
  readonly onPointerEnter: (event: PointerEvent) => void;
  readonly onPointerLeave: () => void;
}

/** The order in which to show `sorted`; another `scope` (a filter) lets go of what was held. */
export function useHeldOrder(
  sorted: readonly string[],
  byKey: ReadonlyMap<string, RequestRow>,
  scope: string,
  scroller: RefObject<HTMLElement | null>,
): HeldOrder {
  const [scrolled, setScrolled] = useState(false);
  const [pointed, setPointed] = useState(false);
  const shown = useRef<{ scope: string; order: readonly string[] }>({ scope, order: [] });
  const held = (scrolled || pointed) && shown.current.scope === scope;
  const { order, fresh } = arrange(shown.current.order, sorted, held, (key) => byKey.has(key));
  useLayoutEffect(() => {
    shown.current = { scope, order };
  });
  const release = useCallback(() => {
    shown.current = { scope: "\n", order: [] };
    setPointed(false);
    setScrolled(false);
    scroller.current?.scrollTo({ top: 0 });
  }, [scroller]);
  return {
    order,
    fresh,
    release,
    onScroll: useCallback(() => setScrolled((scroller.current?.scrollTop ?? 0) > TOP_PX), [scroller]),
    // A finger is on the rows only while it scrolls or taps; a mouse rests on what it is about to press.
    onPointerEnter: useCallback((event: PointerEvent) => setPointed(event.pointerType === "mouse"), []),
    onPointerLeave: useCallback(() => setPointed(false), []),
  };
}

/**
 * Keeps a thread's scroll position: follows the end while the person is there, holds what the person sees otherwise.
 *
 * The rules are in anchor.ts; here they meet an element. `settle` puts things right after anything may have changed:
 * after each render of the list, and when something changed its size (before the browser paints). What the person does
 * is told from what this does by the position that was written last. The browser's own anchoring is off, for two
 * would correct twice.
 */
import { type RefObject, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import {
  type Anchor,
  correction,
  END_SLACK_PX,
  type Follow,
  followAfterScroll,
  pickAnchors,
  type RowBox,
  type ScrollView,
  toEnd,
} from "./anchor.ts";

/** Where a thread was left. */
export interface ThreadPlace {
  readonly follow: Follow;
  readonly anchors: readonly Anchor[];
}

/** The scroll position of one thread. All functions keep their identity. */
export interface Scroller {
  /** The element that scrolls. */
  readonly viewport: RefObject<HTMLDivElement | null>;
  /** The element around the rows. */
  readonly content: RefObject<HTMLDivElement | null>;
  /** Whether the end is in view. */
  readonly atEnd: boolean;
  /** Whether something came below what is in view since the person left the end. */
  readonly fresh: boolean;
  /** Go to the end and follow it. */
  toLatest(options?: { smooth?: boolean }): void;
  /** Hold what is in view now, also if that is the end: for changes that the person makes in the middle. */
  hold(): void;
  /** Put the position right; to be called in a layout effect after the rows were drawn. */
  settle(): void;
  /** The rows that must stay mounted for the position to be found again. */
  anchors(): readonly Anchor[];
  follow(): Follow;
}

function viewOf(element: HTMLElement): ScrollView {
  return { top: element.scrollTop, height: element.scrollHeight, viewport: element.clientHeight };
}

function boxesOf(viewport: HTMLElement, content: HTMLElement): RowBox[] {
  const origin = viewport.getBoundingClientRect().top;
  return [...content.querySelectorAll<HTMLElement>("[data-row]")].map((row) => {
    const box = row.getBoundingClientRect();
    return { id: row.dataset.row!, top: box.top - origin, bottom: box.bottom - origin };
  });
}

/** Begins at `place`; `onPlace` is told where the thread is left, `onTop` when the person comes near the beginning. */
export function useScroller(options: {
  place: ThreadPlace | null;
  onPlace: (place: ThreadPlace) => void;
  onNearTop: () => void;
  /** Whether output may be coming: only then what grows below is news, and not a row that was measured. */
  live: () => boolean;
}): Scroller {
  const viewport = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(options.place?.follow !== "free");
  const [fresh, setFresh] = useState(false);
  const latest = useRef(options);
  latest.current = options;
  const now = useRef({
    follow: options.place?.follow ?? ("end" as Follow),
    anchors: (options.place?.anchors ?? []) as readonly Anchor[],
    before: { top: 0, height: 0, viewport: 0 } as ScrollView,
    written: -1,
    /** Where on screen the element began when it was settled last. */
    origin: null as number | null,
    gliding: false,
  }).current;

  const note = useCallback(() => {
    const element = viewport.current;
    if (!element) return;
    const view = viewOf(element);
    const end = toEnd(view) <= END_SLACK_PX;
    setAtEnd(end);
    if (end) setFresh(false);
    now.before = view;
    latest.current.onPlace({ follow: now.follow, anchors: now.anchors });
  }, [now]);

  const write = useCallback(
    (top: number) => {
      const element = viewport.current;
      if (!element || Math.abs(element.scrollTop - top) < 0.5) return;
      element.scrollTop = top;
      // What was really set: the browser clamps and rounds.
      now.written = element.scrollTop;
    },
    [now],
  );

  const remember = useCallback(() => {
    if (!viewport.current || !content.current) return;
    now.anchors = pickAnchors(boxesOf(viewport.current, content.current), viewport.current.clientHeight);
  }, [now]);

  const settle = useCallback(() => {
    const element = viewport.current;
    const inner = content.current;
    if (!element || !inner || now.gliding) return;
    const origin = element.getBoundingClientRect().top;
    // What comes above the thread, as the line about the connection does, takes room from it but moves nothing in it.
    const moved = now.origin === null ? 0 : origin - now.origin;
    now.origin = origin;
    if (moved) now.anchors = now.anchors.map(({ id, offset }) => ({ id, offset: offset - moved }));
    if (now.follow === "end") {
      // What stands in place of messages is read from its top.
      write(inner.querySelector("[data-row]") ? element.scrollHeight : 0);
    } else {
      const by = correction(now.anchors, (id) => {
        const row = inner.querySelector(`[data-row="${CSS.escape(id)}"]`);
        return row ? row.getBoundingClientRect().top - origin : undefined;
      });
      if (by) write(element.scrollTop + by);
      // What is in view has not moved, so what is further from the end than before grew below it.
      const grew = toEnd(viewOf(element)) - toEnd(now.before);
      if (grew > 1 && now.before.height > 0 && latest.current.live()) setFresh(true);
    }
    note();
  }, [note, now, write]);

  useLayoutEffect(() => {
    const element = viewport.current;
    const inner = content.current;
    if (!element || !inner) return;
    const onScroll = () => {
      const view = viewOf(element);
      const own = Math.abs(view.top - now.written) < 1;
      if (now.gliding && toEnd(view) <= 1) now.gliding = false;
      if (!own && !now.gliding) {
        now.follow = followAfterScroll(now.follow, now.before, view);
        if (view.top < element.clientHeight) latest.current.onNearTop();
      }
      remember();
      note();
    };
    // A wheel or a finger ends a glide: the person is stronger.
    const onHand = () => {
      now.gliding = false;
      now.written = -1;
    };
    element.addEventListener("scroll", onScroll, { passive: true });
    element.addEventListener("wheel", onHand, { passive: true });
    element.addEventListener("touchmove", onHand, { passive: true });
    const sizes = new ResizeObserver(settle);
    sizes.observe(element);
    sizes.observe(inner);
    return () => {
      sizes.disconnect();
      element.removeEventListener("scroll", onScroll);
      element.removeEventListener("wheel", onHand);
      element.removeEventListener("touchmove", onHand);
    };
  }, [note, now, remember, settle]);

  const toLatest = useCallback(
    (how: { smooth?: boolean } = {}) => {
      const element = viewport.current;
      now.follow = "end";
      if (!element) return;
      // Far away a glide would pass rows that are not mounted.
      const near = toEnd(viewOf(element)) < element.clientHeight * 3;
      if (how.smooth && near) {
        now.gliding = true;
        element.scrollTo({ top: element.scrollHeight, behavior: "smooth" });
      } else settle();
      setFresh(false);
    },
    [now, settle],
  );

  const hold = useCallback(() => {
    remember();
    now.follow = "free";
  }, [now, remember]);

  // A glide that something else stopped must not switch settling off for ever.
  useEffect(() => {
    const element = viewport.current;
    const onEnd = () => {
      if (!now.gliding) return;
      now.gliding = false;
      // What came during the glide is below where it went.
      settle();
    };
    element?.addEventListener("scrollend", onEnd);
    return () => element?.removeEventListener("scrollend", onEnd);
  }, [now, settle]);

  return useMemo(
    () => ({
      viewport,
      content,
      atEnd,
      fresh,
      toLatest,
      hold,
      settle,
      anchors: () => now.anchors,
      follow: () => now.follow,
    }),
    [atEnd, fresh, toLatest, hold, settle, now],
  );
}

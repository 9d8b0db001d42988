/** Rows in a scrolling element: all of them while they are few, only those near the view when they are many. */
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, type RefObject, useLayoutEffect, useRef, useState } from "react";
import styles from "./activity.module.css";

/** Up to so many rows the page simply holds them all. */
const PLAIN_ROWS_MAX = 100;

interface VirtualRowsProps {
  readonly count: number;
  /** About how high a row is, px; each is measured when it is there. */
  readonly estimatePx: number;
  /** What scrolls; the rows may lie anywhere in it. */
  readonly scroller: RefObject<HTMLElement | null>;
  readonly keyAt: (index: number) => string;
  readonly children: (index: number) => ReactNode;
  /** A row that must be there and in view, or null. */
  readonly reveal?: number | null;
  /** Called when the last row comes near. */
  readonly onEnd?: (() => void) | undefined;
}

/** The rows. Each is wrapped in an element without a role, so that a grid or a list around them keeps its meaning. */
export function VirtualRows(props: VirtualRowsProps) {
  const { count, keyAt, children } = props;
  if (count > PLAIN_ROWS_MAX) return <Windowed {...props} />;
  return (
    <>
      {Array.from({ length: count }, (_, index) => (
        <div role="none" key={keyAt(index)}>
          {children(index)}
        </div>
      ))}
      <EndMark scroller={props.scroller} onEnd={props.onEnd} />
    </>
  );
}

function Windowed({ count, estimatePx, scroller, keyAt, children, reveal, onEnd }: VirtualRowsProps) {
  const list = useRef<HTMLDivElement>(null);
  const [marginPx, setMarginPx] = useState(0);
  const rows = useVirtualizer({
    count,
    estimateSize: () => estimatePx,
    getScrollElement: () => scroller.current,
    getItemKey: keyAt,
    overscan: 12,
    scrollMargin: marginPx,
  });
  useLayoutEffect(() => {
    // What stands above the rows may have grown or gone; reading this costs one layout, and sets state only on change.
    if (!list.current || !scroller.current) return;
    const top = list.current.getBoundingClientRect().top - scroller.current.getBoundingClientRect().top;
    setMarginPx(Math.round(top + scroller.current.scrollTop));
  });
  useLayoutEffect(() => {
    if (reveal != null && reveal >= 0) rows.scrollToIndex(reveal, { align: "auto" });
  }, [reveal, rows]);
  return (
    <div role="none" ref={list} className={styles.virtual} style={{ height: rows.getTotalSize() }}>
      {rows.getVirtualItems().map((item) => (
        <div
          role="none"
          key={item.key}
          data-index={item.index}
          ref={rows.measureElement}
          className={styles.virtualRow}
          style={{ transform: `translateY(${item.start - marginPx}px)` }}
        >
          {children(item.index)}
        </div>
      ))}
      <div role="none" className={styles.virtualEnd}>
        <EndMark scroller={scroller} onEnd={onEnd} />
      </div>
    </div>
  );
}

/** Nothing to see; tells when it comes near the view. */
function EndMark({ scroller, onEnd }: Pick<VirtualRowsProps, "scroller" | "onEnd">) {
  const mark = useRef<HTMLDivElement>(null);
  const told = useRef(onEnd);
  useLayoutEffect(() => {
    told.current = onEnd;
  });
  const wanted = onEnd !== undefined;
  useLayoutEffect(() => {
    if (!wanted || !mark.current) return;
    const watch = new IntersectionObserver(
      (seen) => seen.some((one) => one.isIntersecting) && told.current?.(),
      {
        root: scroller.current,
        rootMargin: "600px",
      },
    );
    watch.observe(mark.current);
    return () => watch.disconnect();
  }, [wanted, scroller]);
  return wanted ? <div role="none" ref={mark} className={styles.endMark} /> : null;
}

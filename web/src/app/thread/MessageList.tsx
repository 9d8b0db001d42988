/**
 * The rows of a thread. Short threads are mounted whole, so that the browser's own search finds everything; of long ones
 * only what is around the view, the last turn, what holds the scroll position, and what is being edited.
 *
 * Rows stand in the normal flow, in their order, with one spacer wherever rows are left out: the order for screen
 * readers is the order on screen, and a row that grows moves only what is below it.
 */
import type { ThreadMessage } from "@app/model/index.ts";
import { ThreadPrimitive, useAuiState } from "@assistant-ui/react";
import { defaultRangeExtractor, type Range, useVirtualizer } from "@tanstack/react-virtual";
import { Fragment, memo, useCallback, useLayoutEffect, useMemo, useRef, useState } from "react";
import { AssistantMessage } from "./AssistantMessage.tsx";
import { offsetOfAnchor } from "./anchor.ts";
import { EditComposer } from "./EditComposer.tsx";
import { refocus } from "./refocus.ts";
import { RowContext } from "./row.ts";
import { guessSize, sizesOf } from "./rowSizes.ts";
import { useThreadScreen } from "./screen.ts";
import styles from "./thread.module.css";
import { UserMessage } from "./UserMessage.tsx";
import type { Scroller } from "./useScroller.ts";
import { useThreadExtras } from "./useThreadRuntime.ts";

/** Up to here every row is mounted. */
const MOUNT_ALL_MAX = 32;
/** Rows mounted beyond the view in longer threads. */
const OVERSCAN = 6;
/** Rows that stay mounted around the row that holds the scroll position: about a screen of short ones. */
const AROUND_ANCHOR = 6;
/** The last turn: what the person said and its answer. */
const TAIL_ROWS = 2;

const COMPONENTS = { UserMessage, AssistantMessage, UserEditComposer: EditComposer };

/** What the list takes. */
export interface MessageListProps {
  threadKey: string;
  scroller: Scroller;
  /** Told which rows are mounted, for the runtime's window. */
  onRange: (first: number, last: number) => void;
  /** Told which message is being edited, "" for none. */
  onEditing: (messageId: string) => void;
}

/** All rows of the thread that the runtime shows, as far as they need to be mounted. */
export function MessageList({ threadKey, scroller, onRange, onEditing }: MessageListProps) {
  const { messages, known } = useThreadExtras();
  const { focus, marked } = useThreadScreen();
  const found = useRef(false);
  const editing = useAuiState(
    (state) => state.thread.messages.find((one) => one.composer.isEditing)?.id ?? "",
  );
  const sizes = useMemo(() => sizesOf(threadKey), [threadKey]);
  const ids = useMemo(() => messages.map((message) => message.id), [messages]);
  const sizeOf = useCallback(
    (index: number) => {
      const message = messages[index];
      return message ? (sizes.get(message.id) ?? guessSize(message)) : 0;
    },
    [messages, sizes],
  );

  const rangeExtractor = useCallback(
    (range: Range) => {
      if (range.count <= MOUNT_ALL_MAX) return Array.from({ length: range.count }, (_, index) => index);
      const wanted = new Set(defaultRangeExtractor(range));
      const around = (index: number, reach: number) => {
        for (let at = index - reach; at <= index + reach; at += 1)
          if (at >= 0 && at < range.count) wanted.add(at);
      };
      if (scroller.follow() === "free") {
        const held = scroller.anchors().find((anchor) => ids.includes(anchor.id));
        if (held) around(ids.indexOf(held.id), AROUND_ANCHOR);
      } else around(range.count - 1, AROUND_ANCHOR);
      if (editing) around(ids.indexOf(editing), 0);
      for (let at = Math.max(0, range.count - TAIL_ROWS); at < range.count; at += 1) wanted.add(at);
      return [...wanted].sort((a, b) => a - b);
    },
    [editing, ids, scroller],
  );

  const virtualizer = useVirtualizer<HTMLDivElement, HTMLDivElement>({
    count: messages.length,
    getScrollElement: () => scroller.viewport.current,
    estimateSize: sizeOf,
    getItemKey: (index) => ids[index] ?? index,
    overscan: OVERSCAN,
    rangeExtractor,
    initialRect: { width: 0, height: typeof window === "undefined" ? 0 : window.innerHeight },
    initialOffset: () => {
      const anchored =
        scroller.follow() === "free" ? offsetOfAnchor(scroller.anchors(), ids, sizeOf, 0) : null;
      return anchored ?? ids.reduce((sum, _, index) => sum + sizeOf(index), 0);
    },
  });
  // The scroller corrects positions, from what is on screen and not from sums of guesses.
  virtualizer.shouldAdjustScrollPositionOnItemSizeChange = () => false;

  const items = virtualizer.getVirtualItems();
  const total = virtualizer.getTotalSize();

  const { settle } = scroller;
  // A child is laid out before its parent's refs are set. Drawing once more, still before the paint, finds them.
  const [, setAttached] = useState(false);
  useLayoutEffect(() => setAttached(true), []);
  // After every render: whichever rows came, went or moved.
  useLayoutEffect(() => {
    for (const item of items)
      if (virtualizer.itemSizeCache.has(item.key)) sizes.set(ids[item.index]!, item.size);
    settle();
    if (marked && !found.current) {
      const row = scroller.content.current?.querySelector(
        `[data-row="${CSS.escape(marked)}"] [role="article"]`,
      );
      (row as HTMLElement | null | undefined)?.focus({ preventScroll: true });
      found.current = row != null;
    }
    const place = focus.current;
    const id = place && ids[place.index];
    if (!place || !id || id === place.messageId) return;
    const row = scroller.content.current?.querySelector<HTMLElement>(`[data-row="${CSS.escape(id)}"]`);
    if (row) refocus(place, row);
    focus.current = null;
  });

  const range = virtualizer.range;
  const first = range?.startIndex ?? Math.max(0, messages.length - 1);
  const last = range?.endIndex ?? messages.length - 1;
  useLayoutEffect(() => onRange(first, last), [first, last, onRange]);

  useLayoutEffect(() => onEditing(editing), [editing, onEditing]);

  const measure = virtualizer.measureElement;
  const growing = useRef<HTMLDivElement>(null);
  let end = 0;
  return (
    <>
      {items.map((item) => {
        const message = messages[item.index];
        if (!message) return null;
        const gap = item.start - end;
        end = item.end;
        return (
          <Fragment key={item.key}>
            {gap > 0.5 && <div className={styles.spacer} style={{ height: gap }} aria-hidden="true" />}
            <div
              className={styles.row}
              data-row={message.id}
              data-index={item.index}
              data-marked={message.id === marked || undefined}
              // The last row grows while it is written, and nobody stands below it: it need not be measured yet.
              ref={item.index === messages.length - 1 ? growing : measure}
            >
              {known.has(message.id) ? (
                <Row message={message} isLast={item.index === messages.length - 1} />
              ) : (
                <div style={{ height: item.size }} />
              )}
            </div>
          </Fragment>
        );
      })}
      {total - end > 0.5 && items.length > 0 && items.at(-1)!.index < messages.length - 1 && (
        <div className={styles.spacer} style={{ height: total - end }} aria-hidden="true" />
      )}
    </>
  );
}

const Row = memo(function Row({ message, isLast }: { message: ThreadMessage; isLast: boolean }) {
  const row = useMemo(() => ({ message, isLast }), [message, isLast]);
  return (
    <RowContext value={row}>
      <ThreadPrimitive.Unstable_MessageById messageId={message.id} components={COMPONENTS} />
    </RowContext>
  );
});

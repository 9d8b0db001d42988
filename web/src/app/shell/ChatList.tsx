/** The chats in the sidebar, grouped by day; long lists draw only what can be seen. */
import { Button, classes } from "@app/design/index.ts";
import { type ChatItem, useChatList } from "@app/model/index.ts";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowLeft } from "lucide-react";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import { ChatRow } from "./ChatRow.tsx";
import styles from "./chats.module.css";
import { groupByDay, type Line } from "./groups.ts";
import { useMedia } from "./media.ts";
import { useChatId } from "./place.ts";

/** Up to this many lines are all in the document: finding text on the page and printing work as usual. */
const PLAIN_LINES_MAX = 100;
const HEADING_PX = 38;

/** The list; `archived` shows the archived chats instead. */
export function ChatList(props: { archived: boolean; onArchived: (on: boolean) => void }) {
  const { archived, onArchived } = props;
  const list = useChatList({ archived });
  const today = useToday();
  const lines = useMemo(() => groupByDay(list.rows, today), [list.rows, today]);
  const scroller = useRef<HTMLElement>(null);
  const { hasMore, more } = list;

  function onScroll() {
    const element = scroller.current;
    if (!element || !hasMore) return;
    if (element.scrollHeight - element.scrollTop - element.clientHeight < 600) more();
  }

  return (
    <nav
      ref={scroller}
      className={styles.scroller}
      aria-label={archived ? "Archived chats" : "Chats"}
      onScroll={onScroll}
      onKeyDown={walk}
    >
      {archived && (
        <div className={styles.archiveHead}>
          <Button size="s" variant="quiet" icon={<ArrowLeft size={15} />} onClick={() => onArchived(false)}>
            Archived chats
          </Button>
        </div>
      )}
      {list.loading && lines.length === 0 ? (
        <Loading />
      ) : lines.length === 0 ? (
        <p className={styles.nothing}>
          {archived ? "Nothing is archived." : "Your chats will be listed here."}
        </p>
      ) : lines.length <= PLAIN_LINES_MAX ? (
        <ul className={styles.list}>
          {lines.map((line) => (
            <LineView key={keyOf(line)} line={line} />
          ))}
        </ul>
      ) : (
        <LongList lines={lines} scroller={scroller} />
      )}
      {hasMore && lines.length > 0 && (
        <div className={styles.more}>
          <Button size="s" variant="quiet" onClick={more} busy={list.loading}>
            Show older chats
          </Button>
        </div>
      )}
    </nav>
  );
}

type ChatLine = Line<ChatItem>;

function keyOf(line: ChatLine): string {
  return line.kind === "heading" ? `h ${line.label}` : line.row.chatId;
}

function LineView({ line, start }: { line: ChatLine; start?: number | undefined }) {
  const current = useChatId();
  const placed = start === undefined ? undefined : { transform: `translateY(${start}px)` };
  if (line.kind === "heading") {
    return (
      <li className={classes(styles.heading, placed && styles.placed)} style={placed}>
        <h2>{line.label}</h2>
      </li>
    );
  }
  return (
    <li className={classes(styles.item, placed && styles.placed)} style={placed}>
      <ChatRow chat={line.row} current={line.row.chatId === current} />
    </li>
  );
}

function LongList(props: { lines: readonly ChatLine[]; scroller: { readonly current: HTMLElement | null } }) {
  const { lines, scroller } = props;
  const coarse = useMedia("(pointer: coarse)");
  const rowPx = coarse ? 45 : 37;
  const virtual = useVirtualizer({
    count: lines.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => (lines[index]?.kind === "heading" ? HEADING_PX : rowPx),
    getItemKey: (index) => keyOf(lines[index]!),
    overscan: 12,
  });
  return (
    <ul className={styles.list} style={{ height: virtual.getTotalSize(), position: "relative" }}>
      {virtual.getVirtualItems().map((item) => (
        <LineView key={item.key} line={lines[item.index]!} start={item.start} />
      ))}
    </ul>
  );
}

function Loading() {
  return (
    <div className={styles.skeleton} role="status">
      <span className="visually-hidden">Loading your chats</span>
      {[72, 54, 83, 61, 47].map((width) => (
        <span key={width} className={styles.bone} style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}

/** Up and down walk from chat to chat. */
function walk(event: KeyboardEvent<HTMLElement>) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (!(event.target instanceof HTMLElement) || event.target.tagName !== "A") return;
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>("a[data-chat]")];
  const next = links[links.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

/** The time by which days are told; it moves when a new hour has begun and the page is looked at. */
function useToday(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const look = () => setNow((old) => (Date.now() - old > 3_600_000 ? Date.now() : old));
    document.addEventListener("visibilitychange", look);
    const timer = setInterval(look, 600_000);
    return () => {
      document.removeEventListener("visibilitychange", look);
      clearInterval(timer);
    };
  }, []);
  return now;
}

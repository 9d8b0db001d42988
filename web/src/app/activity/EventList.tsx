/** Raw events as a list in a window of its own: however many there are, only those in view are on the page. */
import type { Event as LogEvent } from "@sdk";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef, useState } from "react";
import styles from "./events.module.css";
import { eventFields, eventJson, timeOfDay } from "./words.ts";

const ROW_PX = 30;

interface EventListProps {
  readonly events: readonly LogEvent[];
  /** Which of them, by their places in the log. */
  readonly places: readonly number[];
  readonly label: string;
  /** As high as the screen lets it be. */
  readonly tall?: boolean;
}

/** The list: offset, time, kind, fields; pressed, an event shows all of itself as JSON. */
export function EventList({ events, places, label, tall }: EventListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const [opened, setOpened] = useState<number | null>(null);
  const rows = useVirtualizer({
    count: places.length,
    estimateSize: () => ROW_PX,
    getScrollElement: () => scroller.current,
    getItemKey: (index) => places[index] ?? index,
    overscan: 10,
  });
  const start = events[0]?.at ?? 0;
  return (
    <section className={styles.window} data-tall={tall || undefined} ref={scroller} aria-label={label}>
      <div className={styles.all} style={{ height: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((item) => {
          const place = places[item.index]!;
          const event = events[place];
          if (!event) return null;
          const open = opened === place;
          return (
            <div
              key={item.key}
              data-index={item.index}
              ref={rows.measureElement}
              className={styles.place}
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <button
                type="button"
                className={styles.event}
                aria-expanded={open}
                onClick={() => setOpened(open ? null : place)}
              >
                <span className={styles.offset}>{place}</span>
                <span className={styles.time} title={timeOfDay(event.at)}>
                  +{((event.at - start) / 1000).toFixed(3)} s
                </span>
                <span className={styles.kind}>{event.type === "later" ? event.kind : event.type}</span>
                <span className={styles.fields}>{eventFields(event)}</span>
              </button>
              {open && <pre className={styles.json}>{eventJson(event)}</pre>}
            </div>
          );
        })}
      </div>
    </section>
  );
}

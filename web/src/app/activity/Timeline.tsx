/** A story drawn along time: its lines as bars to scale, long silences squeezed, and who was connected below them. */
import { Button, formatDuration } from "@app/design/index.ts";
import type { Event as LogEvent, ReaderRow } from "@sdk";
import { type RefObject, useMemo, useState } from "react";
import type { Line } from "./line.ts";
import { lanes, type Reader } from "./readers.ts";
import styles from "./story.module.css";
import { TimelineRow } from "./TimelineRow.tsx";
import { axisTicks, type TimeScale, timeScale } from "./timeScale.ts";
import { VirtualRows } from "./VirtualRows.tsx";
import { timeOfDay } from "./words.ts";

const ROW_PX = 40;
const TICKS = 6;

interface TimelineProps {
  readonly lines: readonly Line[];
  readonly left: number;
  /** When something was written. */
  readonly instants: readonly number[];
  readonly events: readonly LogEvent[];
  readonly readers: readonly ReaderRow[];
  /** The server's time while it lasts; null once it has ended. */
  readonly now: number | null;
  readonly short: boolean;
  readonly scroller: RefObject<HTMLElement | null>;
}

/** The timeline. Each line opens the raw events that it is made of. */
export function Timeline({ lines, left, instants, events, readers, now, short, scroller }: TimelineProps) {
  const scale = useMemo(() => scaleOf(instants, now), [instants, now]);
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const toggle = (key: string) =>
    setOpened((before) => {
      const after = new Set(before);
      if (!after.delete(key)) after.add(key);
      return after;
    });
  const spans = useMemo(() => lanes(readers), [readers]);
  return (
    <section className={styles.timeline} aria-label="Timeline">
      {!short && <Axis scale={scale} />}
      <div>
        <VirtualRows
          count={lines.length}
          estimatePx={ROW_PX}
          scroller={scroller}
          keyAt={(index) => lines[index]?.key ?? `${index}`}
        >
          {(index) => {
            const line = lines[index]!;
            return (
              <TimelineRow
                line={line}
                scale={scale}
                now={now ?? scale.end}
                events={events}
                open={opened.has(line.key)}
                onToggle={() => toggle(line.key)}
                drawn={!short}
              />
            );
          }}
        </VirtualRows>
      </div>
      {left > 0 && (
        <p className={styles.note}>{left.toLocaleString()} more parts are in the list of events.</p>
      )}
      {opened.size > 1 && (
        <Button size="s" variant="quiet" onClick={() => setOpened(new Set())}>
          Close all
        </Button>
      )}
      <h2 className={styles.laneTitle}>Who was connected</h2>
      {spans.length === 0 ? (
        <p className={styles.detail}>Nobody is known to have followed it.</p>
      ) : (
        <ul className={styles.rows}>
          {spans.map((lane) => (
            <li key={lane.key} className={styles.row}>
              <div className={styles.lane}>
                <span className={styles.words}>
                  <strong>{lane.label}</strong>
                  <span className={styles.detail}>
                    {lane.door}
                    {" · "}
                    {lane.spans.map((span) => readerWords(span)).join("; ")}
                  </span>
                </span>
                <span className={styles.track} aria-hidden="true">
                  <Gaps scale={scale} />
                  {lane.spans.map((span) => {
                    const x0 = scale.x(span.since);
                    const x1 = scale.x(span.until ?? scale.end);
                    return (
                      <span
                        key={`${span.connection}-${span.since}`}
                        className={styles.reader}
                        data-live={span.until == null || undefined}
                        title={`${timeOfDay(span.since)} – ${span.until == null ? "now" : timeOfDay(span.until)}`}
                        style={{ left: `${x0 * 100}%`, width: `${(x1 - x0) * 100}%` }}
                      />
                    );
                  })}
                </span>
              </div>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function readerWords(span: Reader): string {
  const range = `events ${span.start.toLocaleString()} to ${span.end.toLocaleString()}`;
  return span.until == null
    ? `${range}, still connected`
    : `${range} over ${formatDuration(span.until - span.since)}`;
}

/** Readers do not stretch it: the axis is the request's, and ends with now while it lasts. */
function scaleOf(pulse: readonly number[], now: number | null): TimeScale {
  return timeScale(now === null ? pulse : [...pulse, Math.max(now, pulse[pulse.length - 1] ?? now)]);
}

function Axis({ scale }: { scale: TimeScale }) {
  return (
    <div className={styles.axis} aria-hidden="true">
      <span className={styles.words}>{timeOfDay(scale.start)}</span>
      <span className={styles.track}>
        <Gaps scale={scale} named />
        {axisTicks(scale, TICKS).map((tick) => (
          <span
            key={tick.x}
            className={styles.tick}
            style={{ left: `${tick.x * 100}%` }}
            data-end={tick.x === 0 ? "first" : tick.x === 1 ? "last" : undefined}
            data-odd={Math.round(tick.x * TICKS) % 2 === 1 || undefined}
          >
            +{formatDuration(tick.at - scale.start)}
          </span>
        ))}
      </span>
    </div>
  );
}

/** The squeezed silences, as breaks in the track. */
export function Gaps({ scale, named }: { scale: TimeScale; named?: boolean }) {
  return scale.stretches
    .filter((one) => one.squeezed)
    .map((one) => (
      <span
        key={one.at}
        className={styles.gap}
        title={named ? `${formatDuration(one.until - one.at)} left out` : undefined}
        style={{ left: `${one.x0 * 100}%`, width: `${(one.x1 - one.x0) * 100}%` }}
      />
    ));
}

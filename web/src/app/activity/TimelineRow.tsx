/** One line of the timeline: its words, its bar, and, opened, the raw events it is made of. */
import type { Event as LogEvent } from "@sdk";
import {
  Brain,
  CheckCircle2,
  ChevronRight,
  CircleDot,
  Clock,
  Flag,
  Hand,
  ListChecks,
  type LucideIcon,
  Play,
  StickyNote,
  TextIcon,
  Undo2,
  Wrench,
} from "lucide-react";
import { useId, useMemo } from "react";
import { EventList } from "./EventList.tsx";
import { belongs, type Line, type LineKind } from "./line.ts";
import styles from "./story.module.css";
import { Gaps } from "./Timeline.tsx";
import type { TimeScale } from "./timeScale.ts";
import { lineWords, timeOfDay } from "./words.ts";

const ICONS: Record<LineKind, LucideIcon> = {
  accepted: CircleDot,
  queued: Clock,
  attempt: Play,
  text: TextIcon,
  reasoning: Brain,
  tool: Wrench,
  progress: ListChecks,
  wait: Hand,
  note: StickyNote,
  superseded: Undo2,
  outcome: Flag,
};

interface TimelineRowProps {
  readonly line: Line;
  readonly scale: TimeScale;
  readonly now: number;
  readonly events: readonly LogEvent[];
  readonly open: boolean;
  readonly onToggle: () => void;
  /** Whether the times mean anything: of a purged log they do not. */
  readonly drawn: boolean;
}

/** The line. What a later attempt took back is struck through, and says so to those who cannot see it. */
export function TimelineRow({ line, scale, now, events, open, onToggle, drawn }: TimelineRowProps) {
  const id = useId();
  const { title, detail } = lineWords(line, now);
  const Icon = line.kind === "outcome" && line.tone === "ok" ? CheckCircle2 : ICONS[line.kind];
  return (
    <div
      className={styles.row}
      data-kind={line.kind}
      data-tone={line.tone}
      data-dropped={line.dropped || undefined}
    >
      <button
        type="button"
        className={styles.line}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        onClick={onToggle}
      >
        <span className={styles.words} data-inner={line.part !== null || undefined}>
          <ChevronRight size={14} aria-hidden="true" className={styles.turn} />
          <Icon size={15} aria-hidden="true" className={styles.icon} />
          <span className={styles.said}>
            <strong>{title}</strong>
            {line.dropped && <span className={styles.taken}>superseded</span>}
            <span className={styles.detail}>{detail}</span>
          </span>
        </span>
        {drawn && <Bar line={line} scale={scale} now={now} />}
      </button>
      {open && (
        <div id={id} className={styles.raw}>
          <Raw line={line} events={events} />
        </div>
      )}
    </div>
  );
}

function Bar({ line, scale, now }: { line: Line; scale: TimeScale; now: number }) {
  const x0 = scale.x(line.from);
  const x1 = scale.x(line.until ?? now);
  return (
    <span className={styles.track} aria-hidden="true">
      <span
        className={styles.bar}
        data-live={line.until === null || undefined}
        title={`${timeOfDay(line.from)}${line.until === null ? "" : ` – ${timeOfDay(line.until)}`}`}
        style={{ left: `${x0 * 100}%`, width: `${(x1 - x0) * 100}%` }}
      />
      {line.firstOutputAt !== null && (
        <span
          className={styles.first}
          title="First output"
          style={{ left: `${scale.x(line.firstOutputAt) * 100}%` }}
        />
      )}
      {[...new Set(line.checkpoints)].map((at) => (
        <span
          key={at}
          className={styles.checkpoint}
          title="Checkpoint"
          style={{ left: `${scale.x(at) * 100}%` }}
        />
      ))}
      <Gaps scale={scale} />
    </span>
  );
}

function Raw({ line, events }: { line: Line; events: readonly LogEvent[] }) {
  const { first, last, part } = line;
  const places = useMemo(() => {
    const found: number[] = [];
    for (let place = first; place <= last && place < events.length; place += 1)
      if (belongs(events[place]!, part)) found.push(place);
    return found;
  }, [first, last, part, events]);
  return <EventList events={events} places={places} label="Its events" />;
}

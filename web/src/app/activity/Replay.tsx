/** The answer as it streamed: a player over the log, with its speed, its scrubber and what was shown at that moment. */
import { AnswerParts } from "@app/answer/index.ts";
import { IconButton, Segmented, Switch } from "@app/design/index.ts";
import type { Event as LogEvent } from "@sdk";
import { Pause, Play } from "lucide-react";
import { type KeyboardEvent, useEffect, useMemo, useRef } from "react";
import type { Line } from "./line.ts";
import styles from "./replay.module.css";
import { SPEEDS, type Tape } from "./tape.ts";
import { useReplay } from "./useReplay.ts";
import { clock, lineWords, statusWord, timeOfDay } from "./words.ts";

/** Marks on the scrubber: more would hide it. */
const MARKS_MAX = 120;

interface ReplayProps {
  readonly events: readonly LogEvent[];
  readonly count: number;
  readonly lines: readonly Line[];
  /** A purged log: it has no times worth playing. */
  readonly short: boolean;
  /** Whether it is one's own request. */
  readonly mine: boolean;
}

/** The player. Space plays and pauses, arrows go a second (with Shift ten), Home and End to the ends. */
export function Replay({ events, count, lines, short, mine }: ReplayProps) {
  const replay = useReplay(events, count);
  const { tape, player, frame } = replay;
  const scrubber = useRef<HTMLInputElement>(null);
  useEffect(() => scrubber.current?.focus({ preventScroll: true }), []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    // Other controls keep their own keys.
    if (event.target !== scrubber.current && event.target !== event.currentTarget) return;
    if (replay.press(event.key, event.shiftKey)) event.preventDefault();
  };
  const at = frame.count > 0 ? events[frame.count - 1]!.at : events[0]?.at;
  const place = `${clock(player.positionMs)} of ${clock(tape.lengthMs)}`;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys are the scrubber's, which has the focus
    <div className={styles.replay} onKeyDown={onKeyDown}>
      <div className={styles.deck}>
        <IconButton
          variant="primary"
          label={player.playing ? "Pause" : "Play"}
          shortcut="Space"
          icon={player.playing ? <Pause size={18} /> : <Play size={18} />}
          onClick={replay.toggle}
        />
        <div className={styles.scrub}>
          <Marks lines={lines} tape={tape} />
          <input
            ref={scrubber}
            type="range"
            className={styles.range}
            aria-label="Position in the replay"
            aria-valuetext={place}
            min={0}
            max={Math.max(1, tape.lengthMs)}
            step={1}
            value={player.positionMs}
            onChange={(event) => replay.seek(Number(event.target.value))}
            style={
              {
                "--played": `${tape.lengthMs ? (100 * player.positionMs) / tape.lengthMs : 0}%`,
              } as React.CSSProperties
            }
          />
        </div>
        <span className={styles.clock}>{place}</span>
      </div>
      <div className={styles.settings}>
        <Segmented
          label="Speed"
          value={String(player.speed)}
          options={SPEEDS.map((speed) => ({ value: String(speed), label: `${speed}×` }))}
          onChange={(speed) => replay.setSpeed(Number(speed))}
        />
        <Switch label="Skip gaps over 2 s" checked={replay.skipSilence} onChange={replay.setSkipSilence} />
        <span className={styles.where}>
          event {frame.count.toLocaleString()} of {count.toLocaleString()}, offset{" "}
          {frame.offset.toLocaleString()}
          {at !== undefined && !short ? `, ${timeOfDay(at)}` : ""} · {statusWord(frame.status, mine)}
        </span>
      </div>
      {short && (
        <p className={styles.note}>
          The times at which the words came are not kept any more; the result is whole.
        </p>
      )}
      {frame.trouble && <p className={styles.note}>{frame.trouble}</p>}
      <div className={styles.stage}>
        {frame.parts.length === 0 ? (
          <p className={styles.empty}>Nothing had been written yet.</p>
        ) : (
          <AnswerParts parts={frame.parts} status={frame.status} />
        )}
      </div>
    </div>
  );
}

/** Where attempts began, tools ran and somebody was asked. */
function Marks({ lines, tape }: { lines: readonly Line[]; tape: Tape }) {
  const marks = useMemo(
    () =>
      tape.lengthMs === 0
        ? []
        : lines
            .filter((line) => ["attempt", "tool", "wait", "superseded", "outcome"].includes(line.kind))
            .slice(0, MARKS_MAX)
            .map((line) => ({ line, x: (tape.times[line.first] ?? 0) / tape.lengthMs })),
    [lines, tape],
  );
  return (
    <div className={styles.marks} aria-hidden="true">
      {marks.map(({ line, x }) => (
        <span
          key={line.key}
          className={styles.mark}
          data-kind={line.kind}
          data-tone={line.tone}
          title={lineWords(line, line.latest).title}
          style={{ left: `${x * 100}%` }}
        />
      ))}
    </div>
  );
}

/** The lines of a story in the making: which there are, and which still take events in. */
import type { Event as LogEvent } from "@sdk";
import type { Line, LineKind } from "./line.ts";

/** A line that events still change. */
export type Draft = { -readonly [K in keyof Line]: Line[K] } & { checkpoints: number[] };

/** Lines beyond these are not made: what a person can read ends long before; `left` counts what was not. */
export const LINES_MAX = 2_000;

export class StoryLines {
  /** All, in the order in which they began. */
  readonly all: Draft[] = [];
  /** By its part, the line that takes in the part's events. */
  readonly open = new Map<number, Draft>();
  /** Lines that were not made, because there are LINES_MAX. */
  left = 0;
  /** Parts so far. */
  parts = 0;
  /** The number of the latest attempt, 0 before the first. */
  attempts = 0;

  /** As they are now; values that later events do not change. */
  copied(): Line[] {
    return this.all.map((line) => ({ ...line, checkpoints: [...line.checkpoints] }));
  }

  /** A line that is over as it begins. */
  note(event: LogEvent, place: number, part: number, name: string): void {
    this.opens(part, this.line(event, place, { kind: "note", name, part, until: event.at }));
  }

  /** A line that later events of its part go into. */
  opens(part: number, line: Draft): void {
    this.open.set(part, line);
    this.parts = Math.max(this.parts, part + 1);
  }

  /** Count an event into the line of its part, if that is open, and let it change that. */
  counted(part: number, event: LogEvent, place: number, change: (line: Draft) => void): void {
    const line = this.open.get(part);
    if (!line) return;
    line.last = place;
    line.latest = event.at;
    line.events += 1;
    change(line);
  }

  /** A new line, which begins with this event. */
  line(event: LogEvent, place: number, said: Partial<Draft> & { kind: LineKind }): Draft {
    const line: Draft = {
      key: `${place}-${said.kind}`,
      name: "",
      tone: "plain",
      from: event.at,
      until: null,
      latest: event.at,
      first: place,
      last: place,
      events: 1,
      part: null,
      attempt: this.attempts,
      dropped: false,
      deltas: 0,
      bytes: 0,
      more: "",
      firstOutputAt: null,
      checkpoints: [],
      ...said,
    };
    // Life of the request is always told; of parts the first ones are.
    if (this.all.length < LINES_MAX || line.part === null) this.all.push(line);
    else this.left += 1;
    return line;
  }
}

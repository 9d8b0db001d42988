/** A log that can be folded up to any of its events, forwards and backwards.

Going forward applies what is new. Going back starts at a keyframe: a shorter log that folds to the same, made of the log up
to there with neighbouring deltas merged. Keyframes share their merged events, so all of them together hold the text once;
there are KEYFRAMES_MAX at most, and from the nearest one to any place is at most `every` events. */
import { Fold, type Event as LogEvent, type Part, type Status } from "@sdk";

/** More keyframes cost memory, fewer cost time when scrubbing back. */
export const KEYFRAMES_MAX = 32;
/** Folding these takes a few milliseconds; nearer keyframes would gain nothing. */
const EVERY_MIN = 500;

/** What is shown after so many events. */
export interface Frame {
  readonly count: number;
  readonly offset: number;
  readonly status: Status;
  readonly parts: readonly Part[];
  /** A sentence if the log could not be folded beyond an event before `count`. */
  readonly trouble: string;
}

/** See the module's text. The events must not change any more. */
export class Recording {
  readonly every: number;
  readonly #events: readonly LogEvent[];
  readonly #keyframes: LogEvent[][] = [[]];
  #fold = new Fold();
  #count = 0;
  #trouble = "";

  constructor(events: readonly LogEvent[]) {
    this.#events = events;
    this.every = Math.max(EVERY_MIN, Math.ceil(events.length / KEYFRAMES_MAX));
  }

  /** The fold of the first `count` events. */
  at(count: number): Frame {
    const wanted = Math.min(Math.max(0, Math.floor(count)), this.#events.length);
    const frame = Math.floor(wanted / this.every);
    if (wanted < this.#count || frame * this.every > this.#count) this.#restart(frame);
    while (this.#count < wanted) {
      this.#apply(this.#events[this.#count]!);
      this.#count += 1;
    }
    return {
      count: wanted,
      offset: this.#fold.offset,
      status: this.#fold.status,
      parts: this.#fold.parts(),
      trouble: this.#trouble,
    };
  }

  #restart(frame: number): void {
    this.#fold = new Fold();
    this.#trouble = "";
    for (const event of this.#keyframe(frame)) this.#apply(event);
    this.#count = frame * this.every;
  }

  #apply(event: LogEvent): void {
    if (this.#trouble) return;
    try {
      this.#fold.apply(event);
    } catch {
      this.#trouble = `The log cannot be followed beyond event ${this.#fold.offset}; what came before it is shown.`;
    }
  }

  #keyframe(frame: number): readonly LogEvent[] {
    while (this.#keyframes.length <= frame) {
      const known = this.#keyframes.length;
      const from = (known - 1) * this.every;
      const merged = merge(this.#events.slice(from, from + this.every));
      this.#keyframes.push([...this.#keyframes[known - 1]!, ...merged]);
    }
    return this.#keyframes[frame]!;
  }
}

/** The same log with neighbouring deltas of one part as one; folds to the same. */
export function merge(events: readonly LogEvent[]): LogEvent[] {
  const merged: LogEvent[] = [];
  let pieces: string[] = [];
  let span = 0;
  for (let index = 0; index < events.length; index += 1) {
    const event = events[index]!;
    const next = events[index + 1];
    if (event.type !== "delta") {
      merged.push(event);
      continue;
    }
    pieces.push(event.text);
    span += event.span;
    if (next?.type === "delta" && next.part === event.part) continue;
    merged.push({ ...event, text: pieces.join(""), span });
    pieces = [];
    span = 0;
  }
  return merged;
}

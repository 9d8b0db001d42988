/** Where an instant lies along a drawn time axis whose long silences take little room.

The axis runs from 0 to 1. Between two neighbouring instants time is drawn to scale, except where nothing happened for so
long that the rest could not be seen: such a gap gets a small fixed width, whatever its length. The mapping is monotone and
continuous, so an instant inside a gap (somebody connected while nothing was written) still has its place there. */

/** A silence shorter than this is always drawn to scale: it is part of what streaming looks like. */
const GAP_MS_MIN = 4_000;
/** A gap is squeezed when it is longer than this share of all the time that is not squeezed. */
const GAP_SHARE = 0.25;
/** The widest a squeezed gap is drawn, and what all of them together may take of the axis. */
const GAP_WIDTH = 0.05;
const GAPS_WIDTH_MAX = 0.4;
/** When less than this was not silence (asked, then waited for hours), the silence is what there is to see. */
const LOUD_MS_MIN = 1_000;
/** More squeezed gaps than these would make the axis a row of breaks. */
export const GAPS_MAX = 12;

/** A stretch of the axis: from `at` to `until` (ms) it is drawn from `x0` to `x1` (0..1). */
export interface Stretch {
  readonly at: number;
  readonly until: number;
  readonly x0: number;
  readonly x1: number;
  readonly squeezed: boolean;
}

/** The axis. `x` clamps to 0..1; `time` is its inverse, in ms. */
export interface TimeScale {
  readonly start: number;
  readonly end: number;
  readonly stretches: readonly Stretch[];
  x(at: number): number;
  time(x: number): number;
}

/** The axis over these instants (ms, any order; at least one). Costs a sort of them. */
export function timeScale(instants: Iterable<number>): TimeScale {
  const sorted = Float64Array.from(instants).sort();
  const start = sorted[0] ?? 0;
  const end = sorted[sorted.length - 1] ?? start;
  const squeezed = longSilences(sorted, end - start);
  const loud = end - start - squeezed.reduce((sum, gap) => sum + gap.until - gap.at, 0);
  const widest = loud < LOUD_MS_MIN ? GAPS_WIDTH_MAX : GAP_WIDTH;
  const width = squeezed.length ? Math.min(widest, GAPS_WIDTH_MAX / squeezed.length) : 0;
  const perMs = loud > 0 ? (1 - width * squeezed.length) / loud : 0;
  const gapWidth = loud > 0 ? width : squeezed.length ? 1 / squeezed.length : 0;
  const stretches: Stretch[] = [];
  let at = start;
  let x = 0;
  const add = (until: number, x1: number, gap: boolean) => {
    stretches.push({ at, until, x0: x, x1, squeezed: gap });
    at = until;
    x = x1;
  };
  for (const gap of squeezed) {
    if (gap.at > at) add(gap.at, x + (gap.at - at) * perMs, false);
    add(gap.until, x + gapWidth, true);
  }
  if (end > at || stretches.length === 0) add(end, 1, false);
  return {
    start,
    end,
    stretches,
    x: (instant) => {
      const stretch = stretches[find(stretches, (one) => instant <= one.until)]!;
      const length = stretch.until - stretch.at;
      const share = length > 0 ? (Math.min(Math.max(instant, start), end) - stretch.at) / length : 0;
      return Math.min(1, Math.max(0, stretch.x0 + share * (stretch.x1 - stretch.x0)));
    },
    time: (place) => {
      const stretch = stretches[find(stretches, (one) => place <= one.x1)]!;
      const length = stretch.x1 - stretch.x0;
      const share = length > 0 ? (Math.min(Math.max(place, 0), 1) - stretch.x0) / length : 0;
      return stretch.at + Math.min(1, share) * (stretch.until - stretch.at);
    },
  };
}

/** Instants to label, `count` at most, evenly along the drawn axis and never inside a squeezed gap. */
export function axisTicks(scale: TimeScale, count: number): { at: number; x: number }[] {
  const ticks: { at: number; x: number }[] = [];
  for (let step = 0; step <= count; step += 1) {
    const x = step / count;
    const inGap = scale.stretches.some((one) => one.squeezed && x > one.x0 && x < one.x1);
    if (!inGap) ticks.push({ at: scale.time(x), x });
  }
  return ticks;
}

/** The silences to squeeze, in order of time: the longest first, each weighed against what is left without those before. */
function longSilences(sorted: Float64Array, length: number): { at: number; until: number }[] {
  const gaps: { at: number; until: number }[] = [];
  for (let index = 1; index < sorted.length; index += 1) {
    const at = sorted[index - 1]!;
    const until = sorted[index]!;
    if (until - at > GAP_MS_MIN) gaps.push({ at, until });
  }
  gaps.sort((one, other) => other.until - other.at - (one.until - one.at));
  let rest = length;
  const squeezed: { at: number; until: number }[] = [];
  for (const gap of gaps.slice(0, GAPS_MAX)) {
    const gapMs = gap.until - gap.at;
    if (gapMs <= GAP_SHARE * (rest - gapMs)) break;
    rest -= gapMs;
    squeezed.push(gap);
  }
  return squeezed.sort((one, other) => one.at - other.at);
}

/** The first stretch for which `reached` holds; the last one if none does. */
function find(stretches: readonly Stretch[], reached: (one: Stretch) => boolean): number {
  let low = 0;
  let high = stretches.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (reached(stretches[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Instants are kept at least this far apart, in ms, where nothing stops: far below any silence worth squeezing. */
const PULSE_MS = 250;
/** Instants kept; when there are more, they are thinned to twice the distance. */
export const PULSE_MAX = 2_048;

/** When something happened, without every instant of it: both ends of each silence longer than the distance between
 * instants are kept exactly, what lies closer together is thinned. */
export class Pulse {
  #kept: number[] = [];
  #apartMs = PULSE_MS;
  #latest = Number.NEGATIVE_INFINITY;

  /** Something happened; times before the latest one count as it. */
  add(at: number): void {
    const now = Math.max(at, this.#latest);
    const last = this.#kept[this.#kept.length - 1];
    if (last === undefined || now - last >= this.#apartMs) {
      if (last !== undefined && this.#latest > last) this.#kept.push(this.#latest);
      if (last === undefined || now > this.#kept[this.#kept.length - 1]!) this.#kept.push(now);
    }
    this.#latest = now;
    if (this.#kept.length > PULSE_MAX) this.#thin();
  }

  /** The instants kept, ascending, with the latest. */
  instants(): number[] {
    const last = this.#kept[this.#kept.length - 1];
    return last === undefined || this.#latest <= last ? [...this.#kept] : [...this.#kept, this.#latest];
  }

  #thin(): void {
    const before = this.instants();
    this.#kept = [];
    this.#latest = Number.NEGATIVE_INFINITY;
    this.#apartMs *= 2;
    for (const at of before) this.add(at);
  }
}

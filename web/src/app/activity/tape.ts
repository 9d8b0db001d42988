/** The clock of a replay: where it stands, how it runs, and which events have happened by then.

A tape gives every event a time of its own, counted from the first one, never running backwards (the writer's clock may).
With `skipSilence` a pause longer than SILENCE_MS takes PAUSE_MS on the tape. The player is a value; each function gives the
next one. Position 0 shows what the first instant wrote; at the tape's end everything has happened. */

/** What "skip gaps over 2 s" means. */
const SILENCE_MS = 2_000;
/** How long a skipped silence takes: long enough to be noticed. */
export const PAUSE_MS = 400;
/** The speeds that are offered. */
export const SPEEDS = [0.5, 1, 2, 5, 20] as const;
/** The longest time one step may take: a page that was hidden goes on where it was, it does not catch up. */
const STEP_MS_MAX = 1_000;

/** The events' places on the tape, in ms, ascending; `lengthMs` is that of the last. */
export interface Tape {
  readonly times: Float64Array;
  readonly lengthMs: number;
}

/** One state of a replay. `positionMs` is on the tape. */
export interface Player {
  readonly positionMs: number;
  readonly playing: boolean;
  readonly speed: number;
}

/** The player before anything was touched. */
export const STOPPED: Player = { positionMs: 0, playing: false, speed: 1 };

/** A tape of events at these times (ms since 1970, in the order of the log). */
export function makeTape(at: readonly number[], skipSilence: boolean): Tape {
  const times = new Float64Array(at.length);
  let place = 0;
  let latest = at[0] ?? 0;
  for (let index = 1; index < at.length; index += 1) {
    const passed = Math.max(0, at[index]! - latest);
    latest += passed;
    place += skipSilence && passed > SILENCE_MS ? PAUSE_MS : passed;
    times[index] = place;
  }
  return { times, lengthMs: place };
}

/** How many events have happened at this position. */
export function countAt(tape: Tape, positionMs: number): number {
  let low = 0;
  let high = tape.times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (tape.times[middle]! <= positionMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The player after `elapsedMs` of real time: it stops by itself at the end. */
export function advance(player: Player, tape: Tape, elapsedMs: number): Player {
  if (!player.playing) return player;
  const step = Math.min(Math.max(0, elapsedMs), STEP_MS_MAX) * player.speed;
  const positionMs = Math.min(tape.lengthMs, player.positionMs + step);
  return { ...player, positionMs, playing: positionMs < tape.lengthMs };
}

/** The player at another position; it goes on playing if it did and there is something left. */
export function seek(player: Player, tape: Tape, positionMs: number): Player {
  const place = Math.min(tape.lengthMs, Math.max(0, positionMs));
  return { ...player, positionMs: place, playing: player.playing && place < tape.lengthMs };
}

/** Play or pause; play at the end begins again. */
export function toggle(player: Player, tape: Tape): Player {
  if (player.playing) return { ...player, playing: false };
  const atEnd = player.positionMs >= tape.lengthMs;
  return { ...player, playing: tape.lengthMs > 0, positionMs: atEnd ? 0 : player.positionMs };
}

/** The player on another tape of the same events, at the same event and the same share of the pause after it. */
export function retape(player: Player, from: Tape, to: Tape): Player {
  const count = countAt(from, player.positionMs);
  if (count === 0 || to.times.length === 0) return { ...player, positionMs: 0 };
  const last = Math.min(count, to.times.length) - 1;
  const start = from.times[last]!;
  const pause = (from.times[count] ?? start) - start;
  const share = pause > 0 ? (player.positionMs - start) / pause : 0;
  const begin = to.times[last]!;
  const room = (to.times[last + 1] ?? begin) - begin;
  return { ...player, positionMs: begin + Math.min(1, share) * room };
}

/** What a key does to the player, or null if it is none of ours. Shift makes arrows go ten seconds. */
export function press(player: Player, tape: Tape, key: string, shift: boolean): Player | null {
  const stepMs = shift ? 10_000 : 1_000;
  switch (key) {
    case " ":
      return toggle(player, tape);
    case "ArrowLeft":
    case "ArrowDown":
      return seek(player, tape, player.positionMs - stepMs);
    case "ArrowRight":
    case "ArrowUp":
      return seek(player, tape, player.positionMs + stepMs);
    case "Home":
      return seek(player, tape, 0);
    case "End":
      return seek(player, tape, tape.lengthMs);
    default:
      return null;
  }
}

/** Runs a replay's clock and folds the log up to where it stands. */
import type { Event as LogEvent } from "@sdk";
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import { type Frame, Recording } from "./recording.ts";
import * as tapes from "./tape.ts";

/** The least time between two pictures: a change of text is read, not watched at sixty frames a second. */
const PICTURE_MS = 33;
/** With reduced motion the text comes in calmer steps. */
const CALM_PICTURE_MS = 500;

/** A replay and what can be done with it. */
export interface Replaying {
  readonly tape: tapes.Tape;
  readonly player: tapes.Player;
  readonly frame: Frame;
  readonly skipSilence: boolean;
  readonly setSkipSilence: (on: boolean) => void;
  readonly setSpeed: (speed: number) => void;
  readonly seek: (positionMs: number) => void;
  readonly toggle: () => void;
  /** Returns whether the key was one of its own. */
  readonly press: (key: string, shift: boolean) => boolean;
}

/** Whether the person, or the page's own setting, asks for less motion. */
export function calm(): boolean {
  return (
    document.documentElement.dataset.motion === "reduced" ||
    window.matchMedia?.("(prefers-reduced-motion: reduce)").matches === true
  );
}

/** The replay of the first `count` of `events`, which may grow while it is shown. */
export function useReplay(events: readonly LogEvent[], count: number): Replaying {
  const [skipSilence, setSkip] = useState(true);
  const { long, short } = useMemo(() => {
    const at = events.slice(0, count).map((event) => event.at);
    return { long: tapes.makeTape(at, false), short: tapes.makeTape(at, true) };
  }, [events, count]);
  const tape = skipSilence ? short : long;
  // A recording spaces its keyframes by the log's length: one that has doubled is recorded anew.
  const doublings = Math.ceil(Math.log2(count + 1));
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above
  const recording = useMemo(() => new Recording(events), [events, doublings]);

  const player = useRef<tapes.Player>(tapes.STOPPED);
  const [, draw] = useReducer((turn: number) => turn + 1, 0);
  const set = useCallback((next: tapes.Player) => {
    player.current = next;
    draw();
  }, []);

  const playing = player.current.playing;
  useEffect(() => {
    if (!playing) return;
    const pictureMs = calm() ? CALM_PICTURE_MS : PICTURE_MS;
    let drawnAt = performance.now();
    let request = requestAnimationFrame(function step(at) {
      if (at - drawnAt >= pictureMs) {
        player.current = tapes.advance(player.current, tape, at - drawnAt);
        drawnAt = at;
        draw();
      }
      if (player.current.playing) request = requestAnimationFrame(step);
    });
    return () => cancelAnimationFrame(request);
  }, [playing, tape]);

  const frame = recording.at(tapes.countAt(tape, player.current.positionMs));
  return {
    tape,
    player: player.current,
    frame,
    skipSilence,
    setSkipSilence: (on) => {
      player.current = tapes.retape(player.current, tape, on ? short : long);
      setSkip(on);
    },
    setSpeed: (speed) => set({ ...player.current, speed }),
    seek: (positionMs) => set(tapes.seek(player.current, tape, positionMs)),
    toggle: () => set(tapes.toggle(player.current, tape)),
    press: (key, shift) => {
      const next = tapes.press(player.current, tape, key, shift);
      if (next) set(next);
      return next !== null;
    },
  };
}

/** The clock of a replay: positions, speed, skipped silences, keys. */
import { describe, expect, it } from "vitest";
import { advance, countAt, makeTape, PAUSE_MS, press, retape, STOPPED, seek, toggle } from "./tape.ts";

const AT = [1000, 1000, 1500, 11_500, 12_000];

describe("makeTape", () => {
  it("counts from the first event", () => {
    expect([...makeTape(AT, false).times]).toEqual([0, 0, 500, 10_500, 11_000]);
  });

  it("shortens a silence to a pause", () => {
    expect([...makeTape(AT, true).times]).toEqual([0, 0, 500, 500 + PAUSE_MS, 1000 + PAUSE_MS]);
  });

  it("never runs backwards where the writer's clock did", () => {
    expect([...makeTape([1000, 5000, 2000, 6000], false).times]).toEqual([0, 4000, 4000, 5000]);
  });
});

describe("the player", () => {
  const tape = makeTape(AT, false);

  it("has the events of the first instant at its beginning and all of them at its end", () => {
    expect(countAt(tape, 0)).toBe(2);
    expect(countAt(tape, 499)).toBe(2);
    expect(countAt(tape, 500)).toBe(3);
    expect(countAt(tape, tape.lengthMs)).toBe(5);
    expect(countAt(makeTape([], false), 0)).toBe(0);
  });

  it("moves by real time times the speed, and stops at the end", () => {
    const playing = { ...STOPPED, playing: true, speed: 20 };
    const next = advance(playing, tape, 100);
    expect(next).toEqual({ positionMs: 2000, playing: true, speed: 20 });
    expect(advance(next, tape, 1000)).toEqual({ positionMs: 11_000, playing: false, speed: 20 });
    expect(advance(STOPPED, tape, 1000)).toBe(STOPPED);
  });

  it("does not catch up on the time for which the page was hidden", () => {
    expect(advance({ ...STOPPED, playing: true }, tape, 3_600_000).positionMs).toBe(1000);
  });

  it("begins again when play is pressed at the end", () => {
    const ended = seek(STOPPED, tape, 1e9);
    expect(ended.positionMs).toBe(11_000);
    expect(toggle(ended, tape)).toEqual({ positionMs: 0, playing: true, speed: 1 });
  });

  it("does not play an empty tape", () => {
    expect(toggle(STOPPED, makeTape([5], false)).playing).toBe(false);
  });

  it("stays at its event when silences are skipped or no longer skipped", () => {
    const short = makeTape(AT, true);
    const inGap = seek(STOPPED, tape, 5500);
    const moved = retape(inGap, tape, short);
    expect(countAt(short, moved.positionMs)).toBe(countAt(tape, inGap.positionMs));
    expect(moved.positionMs).toBe(500 + PAUSE_MS / 2);
    expect(retape(moved, short, tape).positionMs).toBe(5500);
  });

  it("answers to its keys and to no others", () => {
    const middle = seek(STOPPED, tape, 5000);
    expect(press(middle, tape, "ArrowRight", false)?.positionMs).toBe(6000);
    expect(press(middle, tape, "ArrowLeft", true)?.positionMs).toBe(0);
    expect(press(middle, tape, "Home", false)?.positionMs).toBe(0);
    expect(press(middle, tape, "End", false)?.positionMs).toBe(11_000);
    expect(press(middle, tape, " ", false)?.playing).toBe(true);
    expect(press(middle, tape, "x", false)).toBeNull();
  });
});

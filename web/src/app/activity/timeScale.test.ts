/** The drawn time axis: to scale where something happens, squeezed where nothing does. */
import { describe, expect, it } from "vitest";
import { axisTicks, GAPS_MAX, PULSE_MAX, Pulse, timeScale } from "./timeScale.ts";

const HOUR = 3_600_000;

describe("timeScale", () => {
  it("draws time without long silences to scale", () => {
    const scale = timeScale([1000, 1500, 2000, 3000]);
    expect(scale.x(1000)).toBe(0);
    expect(scale.x(2000)).toBeCloseTo(0.5);
    expect(scale.x(3000)).toBe(1);
    expect(scale.stretches).toHaveLength(1);
  });

  it("squeezes a wait of hours so that the seconds around it can be seen", () => {
    const scale = timeScale([0, 500, 1000, HOUR, HOUR + 1000]);
    expect(scale.stretches.map((one) => one.squeezed)).toEqual([false, true, false]);
    expect(scale.x(1000)).toBeCloseTo(0.475);
    expect(scale.x(HOUR)).toBeCloseTo(0.525);
    expect(scale.x(HOUR / 2)).toBeCloseTo(0.5, 2);
  });

  it("keeps a pause of seconds to scale when it is a small share of the whole", () => {
    const instants = Array.from({ length: 61 }, (_, index) => index * 1000).filter(
      (at) => at < 30_000 || at > 32_000,
    );
    expect(timeScale(instants).stretches.every((one) => !one.squeezed)).toBe(true);
  });

  it("gives a wait room when next to nothing else happened", () => {
    const gap = timeScale([0, 2, 9, HOUR]).stretches.find((one) => one.squeezed)!;
    expect(gap.x1 - gap.x0).toBeCloseTo(0.4);
  });

  it("is monotone, and time() is the inverse of x()", () => {
    const scale = timeScale([0, 10, 900, 60_000, 60_500, 900_000, 901_000]);
    let before = -1;
    for (let at = 0; at <= 901_000; at += 777) {
      const x = scale.x(at);
      expect(x).toBeGreaterThanOrEqual(before);
      expect(Math.abs(scale.time(x) - at)).toBeLessThan(1);
      before = x;
    }
  });

  it("clamps what lies outside", () => {
    const scale = timeScale([100, 200]);
    expect(scale.x(0)).toBe(0);
    expect(scale.x(1e12)).toBe(1);
  });

  it("stands for a single instant, and for none", () => {
    expect(timeScale([5]).x(5)).toBe(0);
    expect(timeScale([]).x(5)).toBe(0);
  });

  it("squeezes no more gaps than an axis can show, and they leave room for what happened", () => {
    const instants = Array.from({ length: 60 }, (_, index) => [index * HOUR, index * HOUR + 1000]).flat();
    const scale = timeScale(instants);
    const squeezed = scale.stretches.filter((one) => one.squeezed);
    expect(squeezed.length).toBeLessThanOrEqual(GAPS_MAX);
    expect(squeezed.reduce((sum, one) => sum + one.x1 - one.x0, 0)).toBeLessThanOrEqual(0.401);
  });

  it("puts no label into a squeezed gap", () => {
    const scale = timeScale([0, 1000, HOUR, HOUR + 1000]);
    const ticks = axisTicks(scale, 8);
    expect(ticks[0]).toEqual({ at: 0, x: 0 });
    for (const tick of ticks) expect(tick.at <= 1000 || tick.at >= HOUR).toBe(true);
  });
});

describe("Pulse", () => {
  it("keeps both ends of a silence, and thins what streams", () => {
    const pulse = new Pulse();
    for (let at = 0; at <= 1000; at += 10) pulse.add(at);
    for (let at = 31_000; at <= 31_500; at += 10) pulse.add(at);
    const instants = pulse.instants();
    expect(instants).toContain(1000);
    expect(instants).toContain(31_000);
    expect(instants.at(-1)).toBe(31_500);
    expect(instants.length).toBeLessThan(20);
  });

  it("stays bounded however long it goes on, and keeps the long silences", () => {
    const pulse = new Pulse();
    for (let at = 0; at < 3_600_000; at += 100) pulse.add(at);
    pulse.add(9_000_000);
    expect(pulse.instants().length).toBeLessThanOrEqual(PULSE_MAX + 1);
    const squeezed = timeScale(pulse.instants()).stretches.filter((one) => one.squeezed);
    expect(squeezed).toMatchObject([{ at: 3_599_900, until: 9_000_000 }]);
  });

  it("is ascending even where the writer's clock jumped back", () => {
    const pulse = new Pulse();
    for (const at of [1000, 5000, 2000, 9000]) pulse.add(at);
    expect(pulse.instants()).toEqual([1000, 5000, 9000]);
  });
});

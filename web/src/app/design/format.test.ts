/** Ages, durations and counts, at their edges. */
import { expect, it } from "vitest";
import { formatAge, formatCount, formatDuration } from "./format.ts";

it("writes ages in the largest unit that fits, and the future as now", () => {
  const [minute, hour, day] = [60_000, 3_600_000, 86_400_000] as const;
  expect(
    [-5, 59_999, minute, hour - 1, hour, day - 1, day, 13 * day, 14 * day, 364 * day, 365 * day].map(
      formatAge,
    ),
  ).toEqual(["now", "now", "1 min", "59 min", "1 h", "23 h", "1 d", "13 d", "2 wk", "52 wk", "1 y"]);
});

it("writes durations with as many digits as matter", () => {
  expect(
    [0, 80, 994, 999, 1234, 9_949, 42_000, 60_000, 125_000, 3_599_600, 3_840_000].map(formatDuration),
  ).toEqual([
    "0 ms",
    "80 ms",
    "994 ms",
    "1.0 s",
    "1.2 s",
    "9.9 s",
    "42 s",
    "1 min",
    "2 min 5 s",
    "1 h",
    "1 h 4 min",
  ]);
  expect(formatDuration(Number.NaN)).toBe("0 ms");
});

it("writes counts exactly until they are large", () => {
  expect([0, 999, 1234, 9999, 12_345, 4_000_000].map(formatCount)).toEqual([
    "0",
    "999",
    "1,234",
    "9,999",
    "12.3K",
    "4M",
  ]);
});

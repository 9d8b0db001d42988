import { describe, expect, it } from "vitest";
import { WINDOW_ALL_MAX, WINDOW_CHUNK, WINDOW_MARGIN, windowAround, windowIndexes } from "./runtimeWindow.ts";

describe("windowAround", () => {
  it("is the whole of a thread that is not long", () => {
    expect(windowAround(WINDOW_ALL_MAX, 3, 9)).toEqual({ from: 0, to: WINDOW_ALL_MAX });
    expect(windowAround(0, 0, -1)).toEqual({ from: 0, to: 0 });
  });

  it("covers what is mounted with a margin, wherever it is, and stays bounded", () => {
    for (let first = 0; first < 2_000; first += 7) {
      const last = Math.min(1_999, first + 20);
      const { from, to } = windowAround(2_000, first, last);
      expect(from).toBeLessThanOrEqual(Math.max(0, first - WINDOW_MARGIN));
      expect(to).toBeGreaterThanOrEqual(Math.min(2_000, last + 1 + WINDOW_MARGIN));
      expect(to - from).toBeLessThanOrEqual(21 + 2 * WINDOW_MARGIN + 2 * WINDOW_CHUNK);
    }
  });

  it("moves in chunks, not with every row", () => {
    const seen = new Set<string>();
    for (let first = 640; first < 640 + WINDOW_CHUNK; first += 1) {
      seen.add(JSON.stringify(windowAround(2_000, first, first + 10)));
    }
    expect(seen.size).toBeLessThanOrEqual(3);
  });
});

describe("windowIndexes", () => {
  it("adds the last turn and what is pinned, in order, each once", () => {
    expect(windowIndexes(10, { from: 2, to: 4 }, [0, 3])).toEqual([0, 2, 3, 8, 9]);
  });

  it("knows no index that the thread does not have", () => {
    expect(windowIndexes(2, { from: -5, to: 9 }, [-1, 7])).toEqual([0, 1]);
    expect(windowIndexes(0, { from: 0, to: 3 }, [])).toEqual([]);
  });
});

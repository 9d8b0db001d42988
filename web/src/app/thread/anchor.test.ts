import { describe, expect, it } from "vitest";
import {
  correction,
  followAfterScroll,
  offsetOfAnchor,
  pickAnchors,
  type ScrollView,
  toEnd,
} from "./anchor.ts";

const at = (top: number, height = 2_000, viewport = 500): ScrollView => ({ top, height, viewport });

describe("followAfterScroll", () => {
  it("lets go of the end with the smallest move up", () => {
    expect(followAfterScroll("end", at(1_500), at(1_495))).toBe("free");
  });

  it("follows again only at the end, by a move down", () => {
    expect(followAfterScroll("free", at(1_000), at(1_300))).toBe("free");
    expect(followAfterScroll("free", at(1_300), at(1_490))).toBe("end");
  });

  it("takes a position that shrinking contents clamped for no move of the person's", () => {
    expect(followAfterScroll("end", at(1_500), at(1_400, 1_900))).toBe("end");
    expect(followAfterScroll("free", at(1_500), at(1_400, 1_900))).toBe("free");
  });

  it("stays as it is when output grows below without a move", () => {
    expect(followAfterScroll("end", at(1_500), at(1_500, 2_600))).toBe("end");
    expect(followAfterScroll("free", at(900), at(900, 2_600))).toBe("free");
  });
});

describe("anchors", () => {
  const rows = [
    { id: "a", top: -900, bottom: -300 },
    { id: "b", top: -300, bottom: 120 },
    { id: "c", top: 120, bottom: 480 },
    { id: "d", top: 480, bottom: 700 },
    { id: "e", top: 700, bottom: 900 },
  ];

  it("are the rows in view from the top, and the one above as the last resort", () => {
    expect(pickAnchors(rows, 500)).toEqual([
      { id: "b", offset: -300 },
      { id: "c", offset: 120 },
      { id: "d", offset: 480 },
      { id: "a", offset: -900 },
    ]);
  });

  it("are none where nothing is in view", () => {
    expect(pickAnchors([], 500)).toEqual([]);
    expect(pickAnchors([{ id: "a", top: -50, bottom: -10 }], 500)).toEqual([]);
  });

  it("say by how much what was prepended pushed the view down", () => {
    const picked = pickAnchors(rows, 500);
    expect(correction(picked, (id) => (id === "b" ? 1_700 : undefined))).toBe(2_000);
  });

  it("fall back to the next row when the first is gone", () => {
    const picked = pickAnchors(rows, 500);
    expect(correction(picked, (id) => (id === "c" ? 100 : undefined))).toBe(-20);
    expect(correction(picked, () => undefined)).toBeNull();
  });

  it("correct nothing for what is only rounding", () => {
    expect(correction([{ id: "b", offset: 10 }], () => 10.3)).toBe(0);
  });

  it("give the position of a row from sizes, before anything is mounted", () => {
    expect(offsetOfAnchor([{ id: "c", offset: -40 }], ["a", "b", "c"], () => 100, 16)).toBe(256);
    expect(offsetOfAnchor([{ id: "x", offset: 0 }], ["a"], () => 100, 0)).toBeNull();
    expect(offsetOfAnchor([{ id: "a", offset: 30 }], ["a"], () => 100, 0)).toBe(0);
  });
});

it("the way to the end is never negative: rubber bands overshoot", () => {
  expect(toEnd(at(1_600))).toBe(0);
});

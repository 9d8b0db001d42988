/** Lanes of readers on the time axis. */
import { describe, expect, it } from "vitest";
import { lanes, type Reader, UNNAMED } from "./readers.ts";

const reader = (connection: string, since: number, until: number | null, client = "page"): Reader => ({
  connection,
  client,
  door: "websocket",
  since,
  until,
  start: 0,
  end: 1,
});

describe("lanes", () => {
  it("puts the reconnects of one client into one lane", () => {
    const result = lanes([reader("b", 20, 30), reader("a", 0, 10)]);
    expect(result).toHaveLength(1);
    expect(result[0]!.spans.map((span) => span.connection)).toEqual(["a", "b"]);
  });

  it("gives overlapping spans lanes of their own", () => {
    expect(lanes([reader("a", 0, 10), reader("b", 5, 15), reader("c", 12, 14)])).toHaveLength(2);
  });

  it("lets nobody into a lane whose last span is still open", () => {
    expect(lanes([reader("a", 0, null), reader("b", 50, 60)])).toHaveLength(2);
  });

  it("names who gave no name", () => {
    expect(lanes([reader("a", 0, 1, "")])[0]!.label).toBe(UNNAMED);
  });
});

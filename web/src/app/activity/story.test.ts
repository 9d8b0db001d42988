/** A log as lines that people read. */
import type { Event as LogEvent } from "@sdk";
import { describe, expect, it } from "vitest";
import { belongs, formatBytes, shortJson } from "./line.ts";
import { Story } from "./story.ts";
import { LINES_MAX } from "./storyLines.ts";
import { lineWords } from "./words.ts";

/** An event with its defaults, as the SDK hands it over. */
const event = (type: string, at: number, more: object = {}): LogEvent =>
  ({ type, at, span: 1, ...more }) as LogEvent;

const accepted = event("accepted", 0, { agent: "demo" });
const started = (at: number, more: object = {}) =>
  event("started", at, { attempt: 1, term: 1, keep: "all", reason: "first", ...more });

function told(events: readonly LogEvent[]): Story {
  const story = new Story();
  events.forEach((one, place) => {
    story.add(one, place);
  });
  return story;
}

const ANSWERED = [
  accepted,
  started(40),
  event("part_started", 100, { part: 0, kind: "text" }),
  ...Array.from({ length: 412 }, (_, index) =>
    event("delta", 100 + index * 10, { part: 0, text: "word 漢" }),
  ),
  event("part_done", 5300, { part: 0 }),
  event("completed", 5400, { code: "stop", message: "", retryable: false }),
];

describe("Story", () => {
  it("makes one line of all deltas of a part, with their count, bytes and length", () => {
    const line = told(ANSWERED)
      .lines()
      .find((one) => one.kind === "text")!;
    expect(line).toMatchObject({ deltas: 412, bytes: 412 * 8, first: 2, last: 415, from: 100, until: 5300 });
    expect(lineWords(line, 0)).toEqual({ title: "Text", detail: "412 deltas, 3.3 kB over 5.2 s" });
  });

  it("tells how long it was queued, when an attempt first showed something, and how it ended", () => {
    const lines = told(ANSWERED).lines();
    expect(lines.map((line) => line.kind)).toEqual(["accepted", "queued", "attempt", "text", "outcome"]);
    expect(lineWords(lines[1]!, 0).detail).toBe("for 40 ms");
    expect(lineWords(lines[2]!, 0).detail).toContain("first output after 60 ms");
    expect(lineWords(lines[4]!, 0)).toEqual({ title: "Answered", detail: "" });
  });

  it("shows a tool with its length and what it gave back", () => {
    const lines = told([
      accepted,
      started(10),
      event("tool_call", 20, { part: 0, call_id: "c", name: "count", where: "server" }),
      event("delta", 25, { part: 0, text: "{}" }),
      event("part_done", 30, { part: 0 }),
      event("tool_result", 520, { part: 0, output: "four", is_error: false }),
    ]).lines();
    const tool = lines.at(-1)!;
    expect(tool).toMatchObject({ kind: "tool", tone: "ok", from: 20, until: 520, deltas: 1 });
    expect(lineWords(tool, 0)).toEqual({ title: "count", detail: "tool · 500 ms · returned 4 B" });
  });

  it("marks what a later attempt took back, and keeps what a checkpoint held", () => {
    const lines = told([
      accepted,
      started(10),
      event("part_started", 20, { part: 0, kind: "text" }),
      event("part_done", 30, { part: 0 }),
      event("checkpoint", 30),
      event("part_started", 40, { part: 1, kind: "text" }),
      started(50, { attempt: 2, keep: 4, reason: "retry" }),
      event("part_started", 60, { part: 1, kind: "text" }),
    ]).lines();
    expect(lines.filter((line) => line.kind === "text").map((line) => line.dropped)).toEqual([
      false,
      true,
      false,
    ]);
    const back = lines.find((line) => line.kind === "superseded")!;
    expect(lineWords(back, 0).detail).toBe("back to the checkpoint · 1 part superseded");
    expect(lines.find((line) => line.attempt === 2 && line.kind === "attempt")).toMatchObject({
      name: "tried again",
    });
  });

  it("takes everything back where nothing is kept", () => {
    const lines = told([
      accepted,
      started(10),
      event("part_started", 20, { part: 0, kind: "text" }),
      started(50, { attempt: 2, keep: "none", reason: "retry" }),
    ]).lines();
    expect(lines.find((line) => line.kind === "text")).toMatchObject({ dropped: true, until: 50 });
  });

  it("ends a wait where the answer went on, and says what was decided", () => {
    const lines = told([
      accepted,
      started(10),
      event("waiting", 20, {
        part: 0,
        wait_id: "w",
        kind: "approval",
        body: null,
        digest: "d",
        expires_at: null,
      }),
      started(9_020, { reason: "resumed" }),
      event("decided", 9_030, { part: 0, wait_id: "w", decision: { approved: true }, expired: false }),
    ]).lines();
    const wait = lines.find((line) => line.kind === "wait")!;
    expect(wait).toMatchObject({ from: 20, until: 9_020, tone: "ok" });
    expect(lineWords(wait, 0).detail).toBe('9.0 s · decided: {"approved":true}');
    expect(lines.find((line) => line.kind === "attempt")).toMatchObject({ until: 20 });
  });

  it("closes what an outcome found open, and claims nothing about a tool without a result", () => {
    const lines = told([
      accepted,
      started(10),
      event("tool_call", 20, { part: 0, call_id: "c", name: "send", where: "server" }),
      event("interrupted", 900, { code: "crash", message: "The server died too often.", retryable: true }),
    ]).lines();
    expect(lines.every((line) => line.until !== null)).toBe(true);
    expect(lines.find((line) => line.kind === "tool")!.more).toBe("no result: it may or may not have run");
    expect(lineWords(lines.at(-1)!, 0)).toEqual({
      title: "Interrupted",
      detail: "The server died too often.",
    });
  });

  it("follows a step of the work to its end", () => {
    const step = (at: number, state: string, number: number) =>
      event("progress", at, {
        part: 0,
        id: "s",
        label: "Reading",
        step: number,
        total: 3,
        percent: null,
        state,
      });
    const lines = told([accepted, started(10), step(20, "running", 1), step(900, "done", 3)]).lines();
    expect(lines.at(-1)).toMatchObject({
      kind: "progress",
      tone: "ok",
      until: 900,
      events: 2,
      more: "step 3 of 3",
    });
  });

  it("knows a log that is not as it was written by its spans", () => {
    expect(told(ANSWERED).short).toBe(false);
    expect(told([{ ...accepted, span: 0 }]).short).toBe(true);
  });

  it("lists under a line the events that are its own", () => {
    const story = told(ANSWERED);
    const line = story.lines().find((one) => one.kind === "text")!;
    const places = ANSWERED.map((one, place) => ({ one, place })).filter(
      ({ one, place }) => place >= line.first && place <= line.last && belongs(one, line.part),
    );
    expect(places).toHaveLength(line.events);
  });

  it("stays bounded, keeps the request's own lines, and counts what it left out", () => {
    const many = Array.from({ length: LINES_MAX + 50 }, (_, part) =>
      event("source", 20, { part, url: "u", title: "" }),
    );
    const story = told([
      accepted,
      started(10),
      ...many,
      event("failed", 30, { code: "x", message: "No.", retryable: false }),
    ]);
    expect(story.left).toBeGreaterThanOrEqual(50);
    expect(story.lines().at(-1)!.kind).toBe("outcome");
    expect(story.lines().length).toBeLessThanOrEqual(LINES_MAX + 1);
  });
});

describe("its words", () => {
  it("measures bytes and cuts values", () => {
    expect([412, 3100, 2_000_000].map(formatBytes)).toEqual(["412 B", "3.1 kB", "2.0 MB"]);
    expect(shortJson("x".repeat(500))).toHaveLength(80);
    expect(shortJson(undefined)).toBe("nothing");
  });
});

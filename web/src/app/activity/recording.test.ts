/** A log folded up to any place, forwards and backwards, gives the same as folding it from the start. */
import { Fold, type Event as LogEvent } from "@sdk";
import { describe, expect, it } from "vitest";
import { KEYFRAMES_MAX, merge, Recording } from "./recording.ts";

const event = (type: string, at: number, more: object = {}): LogEvent =>
  ({ type, at, span: 1, ...more }) as LogEvent;

/** Three parts, an attempt that is taken back to a checkpoint, and many deltas. */
function log(deltas: number): LogEvent[] {
  let at = 0;
  const next = (type: string, more: object = {}) => event(type, at++, more);
  const words = (part: number, count: number) =>
    Array.from({ length: count }, (_, index) => next("delta", { part, text: `w${index} ` }));
  const accepted = {
    nonce: "n",
    agent: "demo",
    chat_id: null,
    message_id: null,
    parent_id: null,
    append_only: false,
    projections: {},
    v: 1,
  };
  const started = { term: 1, nonce: "t" };
  return [
    next("accepted", accepted),
    next("started", { ...started, attempt: 1, keep: "all", reason: "first" }),
    next("part_started", { part: 0, kind: "text" }),
    ...words(0, deltas),
    next("part_done", { part: 0 }),
    next("checkpoint"),
    next("part_started", { part: 1, kind: "text" }),
    ...words(1, deltas),
    next("started", { ...started, attempt: 2, keep: deltas + 4, reason: "retry" }),
    next("part_started", { part: 1, kind: "text" }),
    ...words(1, deltas),
    next("part_done", { part: 1 }),
    next("completed", { code: "stop", message: "", retryable: false }),
  ];
}

const texts = (parts: readonly object[]) => parts.map((part) => ("text" in part ? part.text : ""));

function straight(events: readonly LogEvent[], count: number) {
  const fold = new Fold();
  for (const one of events.slice(0, count)) fold.apply(one);
  return { texts: texts(fold.parts()), offset: fold.offset, status: fold.status };
}

describe("Recording", () => {
  const events = log(700);

  it("shows at every place, in any order, what folding from the start shows", () => {
    const recording = new Recording(events);
    for (const count of [0, 5, 1400, 900, 2100, 1405, 3, events.length, 710, 0, events.length - 1]) {
      const frame = recording.at(count);
      expect({ texts: texts(frame.parts), offset: frame.offset, status: frame.status }).toEqual(
        straight(events, count),
      );
      expect(frame.trouble).toBe("");
    }
  });

  it("clamps places outside", () => {
    const recording = new Recording(events);
    expect(recording.at(-5).count).toBe(0);
    expect(recording.at(1e9).count).toBe(events.length);
  });

  it("never has more keyframes than its bound, however long the log", () => {
    const long = Array.from({ length: 100_000 }, (_, at) => event("checkpoint", at));
    expect(long.length / new Recording(long).every).toBeLessThanOrEqual(KEYFRAMES_MAX);
  });

  it("follows a log that grows", () => {
    const growing = events.slice(0, 100);
    const recording = new Recording(growing);
    recording.at(100);
    growing.push(...events.slice(100));
    expect(recording.at(growing.length).status).toBe("completed");
  });

  it("shows what came before an event that does not fit, and says so", () => {
    const broken = [
      ...events.slice(0, 10),
      event("decided", 1, { part: 9, wait_id: "x", decision: null, expired: false }),
    ];
    const frame = new Recording(broken).at(11);
    expect(frame.trouble).not.toBe("");
    expect(texts(frame.parts)).toEqual(straight(events, 10).texts);
  });
});

describe("merge", () => {
  it("joins neighbouring deltas and keeps every span", () => {
    const events = log(50);
    const merged = merge(events);
    expect(merged.length).toBeLessThan(20);
    expect(merged.reduce((sum, one) => sum + one.span, 0)).toBe(events.length);
  });
});

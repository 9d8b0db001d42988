/** Reading a log: all of it, on and on while it grows, and what happens when that fails. */
import type { Event as LogEvent, LogReply } from "@sdk";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EVENTS_MAX, LogReader } from "./logReader.ts";

const page = (start: number, count: number, sealed: boolean): LogReply => ({
  type: "log",
  ref: 1,
  request_id: "r",
  start,
  next: start + count,
  events: Array.from({ length: count }, (_, at) => ({ type: "checkpoint", at, span: 1 }) as LogEvent),
  sealed,
});

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("LogReader", () => {
  it("reads page after page up to the seal, and then no more", async () => {
    const read = vi.fn(async (start: number, limit: number) =>
      page(start, Math.min(limit, 2500 - start), start + limit >= 2500),
    );
    const reader = new LogReader(read);
    reader.poke();
    await vi.runAllTimersAsync();
    expect(reader.get()).toMatchObject({ count: 2500, sealed: true, caughtUp: true, error: "" });
    expect(read).toHaveBeenCalledTimes(3);
    reader.poke();
    expect(read).toHaveBeenCalledTimes(3);
  });

  it("looks again at the tail, less and less often while nothing comes, and at once when told to", async () => {
    let tail = 5;
    const read = vi.fn(async (start: number) => page(start, tail - start, false));
    const reader = new LogReader(read);
    reader.poke();
    await vi.advanceTimersByTimeAsync(0);
    expect(reader.get()).toMatchObject({ count: 5, caughtUp: true, sealed: false });
    await vi.advanceTimersByTimeAsync(60_000);
    const idle = read.mock.calls.length;
    expect(idle).toBeLessThan(15);
    tail = 6;
    reader.poke();
    await vi.advanceTimersByTimeAsync(0);
    expect(reader.get().count).toBe(6);
    reader.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(read).toHaveBeenCalledTimes(idle + 1);
  });

  it("tries again after what may pass, and stops at what will not", async () => {
    const read = vi
      .fn<(start: number) => Promise<LogReply>>()
      .mockRejectedValueOnce(Object.assign(new Error("Later."), { retryable: true }))
      .mockResolvedValueOnce(page(0, 1, false))
      .mockRejectedValue(Object.assign(new Error("Gone."), { retryable: false }));
    const reader = new LogReader(read);
    reader.poke();
    await vi.advanceTimersByTimeAsync(0);
    expect(reader.get()).toMatchObject({ error: "Later.", lost: false });
    await vi.advanceTimersByTimeAsync(3_000);
    expect(reader.get()).toMatchObject({ error: "", count: 1 });
    await vi.advanceTimersByTimeAsync(3_000);
    expect(reader.get()).toMatchObject({ error: "Gone.", lost: true, count: 1 });
    const calls = read.mock.calls.length;
    reader.poke();
    expect(read).toHaveBeenCalledTimes(calls);
  });

  it("holds no more than its bound, and says that it is cut", async () => {
    const one = page(0, 1000, false);
    const reader = new LogReader(async (start) => ({ ...one, start, next: start + 1000 }));
    reader.poke();
    await vi.runAllTimersAsync();
    expect(reader.get()).toMatchObject({ cut: true, caughtUp: true });
    expect(reader.events.length).toBe(EVENTS_MAX);
  });
});

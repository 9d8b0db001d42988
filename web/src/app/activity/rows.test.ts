/** What the monitor shows, in which order, and what it adds up. */
import type { RequestRow } from "@sdk";
import { describe, expect, it } from "vitest";
import { asked, fits, NO_FILTER, readFilter, writeFilter } from "./filters.ts";
import { arrange, elapsedMs, rowKey, sortRows, summarise } from "./rows.ts";

const row = (request_id: string, more: Partial<RequestRow> = {}): RequestRow =>
  ({ request_id, version: 1, status: "completed", agent: "demo", title: "Say hello", ...more }) as RequestRow;

describe("the filter", () => {
  it("goes into the address and comes back", () => {
    const filter = { show: "failed", agent: "demo", text: "a b&c", everyone: true } as const;
    expect(readFilter(writeFilter(filter))).toEqual(filter);
    expect(writeFilter(NO_FILTER)).toBe("");
  });

  it("takes what an address says wrongly as not said", () => {
    expect(readFilter("show=nonsense&scope=x")).toEqual(NO_FILTER);
    expect(readFilter(`text=${"x".repeat(999)}`).text).toHaveLength(200);
  });

  it("tells failures from what somebody stopped", () => {
    const failed = { ...NO_FILTER, show: "failed" } as const;
    expect(
      ["failed", "timed_out", "interrupted"].every((status) => fits(row("r", { status } as never), failed)),
    ).toBe(true);
    expect(fits(row("r", { status: "cancelled" }), failed)).toBe(false);
  });

  it("finds tool calls, executions and texts in any case", () => {
    expect(fits(row("r", { tools: 2 }), { ...NO_FILTER, show: "tools" })).toBe(true);
    expect(fits(row("r"), { ...NO_FILTER, show: "tools" })).toBe(false);
    expect(fits(row("r", { attempt: 1 }), { ...NO_FILTER, show: "runs" })).toBe(true);
    expect(fits(row("r", { status: "cancelled" }), { ...NO_FILTER, show: "runs" })).toBe(false);
    expect(fits(row("r"), { ...NO_FILTER, text: "HELLO" })).toBe(true);
  });

  it("never shows what was deleted", () => {
    expect(fits(row("r", { deleted: true }), NO_FILTER)).toBe(false);
  });

  it("asks the server for no field that says nothing", () => {
    expect(asked(NO_FILTER)).toEqual({});
    expect(asked({ show: "tools", agent: "a", text: " x ", everyone: true })).toEqual({
      everyone: true,
      agent: "a",
      text: "x",
      tools: true,
    });
  });
});

describe("the order", () => {
  it("pins what is active, and is newest first", () => {
    const rows = [
      row("old", { created_at: 1 }),
      row("new", { created_at: 9 }),
      row("active", { created_at: 2, status: "running" }),
      row("waits", { created_at: 3, status: "waiting" }),
    ];
    expect(sortRows(rows).map((one) => one.request_id)).toEqual(["waits", "active", "new", "old"]);
  });

  it("tells apart the same id of two owners", () => {
    expect(rowKey(row("r", { owner: "a" }))).not.toBe(rowKey(row("r", { owner: "b" })));
  });

  it("stays still while it is held, and counts what came", () => {
    const held = arrange(["a", "b", "c"], ["x", "b", "a", "c"], true, () => true);
    expect(held).toEqual({ order: ["a", "b", "c"], fresh: 1 });
    expect(arrange(["a", "b", "c"], ["x", "b", "a", "c"], false, () => true)).toEqual({
      order: ["x", "b", "a", "c"],
      fresh: 0,
    });
  });

  it("adds further pages below while it is held, and lets go of what is gone", () => {
    expect(arrange(["a", "b"], ["a", "c", "d"], true, (key) => key !== "b")).toEqual({
      order: ["a", "c", "d"],
      fresh: 0,
    });
  });
});

describe("the summary", () => {
  it("counts what runs and waits, recent failures, and the tokens shown", () => {
    const now = 10 * 3_600_000;
    const rows = [
      row("1", { status: "running" }),
      row("2", { status: "queued" }),
      row("3", { status: "waiting" }),
      row("4", { status: "failed", ended_at: now - 1000 }),
      row("5", { status: "failed", ended_at: now - 2 * 3_600_000 }),
      row("6", { usage: { input_tokens: 3, output_tokens: 4, estimated: true } } as never),
    ];
    expect(summarise(rows, rows, now)).toEqual({
      running: 2,
      waiting: 1,
      failed: 1,
      tokens: 7,
      estimated: true,
    });
    expect(summarise(rows, [], now).tokens).toBe(0);
  });

  it("measures the time up to the end, or up to now", () => {
    expect(elapsedMs(row("r"), 500)).toBeNull();
    expect(elapsedMs(row("r", { started_at: 100, ended_at: 400 }), 500)).toBe(300);
    expect(elapsedMs(row("r", { started_at: 100, status: "running" }), 500)).toBe(400);
  });
});

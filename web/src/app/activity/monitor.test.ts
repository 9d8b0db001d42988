/** What the monitor knows: pages, versions, what left the active ones, filters. */
import type { RequestRow, RequestsReply } from "@sdk";
import { describe, expect, it, vi } from "vitest";
import { NO_FILTER } from "./filters.ts";
import { Monitor } from "./monitor.ts";

const row = (request_id: string, more: Partial<RequestRow> = {}): RequestRow =>
  ({
    request_id,
    version: 1,
    status: "completed",
    agent: "demo",
    title: "",
    owner: null,
    usage: null,
    created_at: 1,
    ...more,
  }) as RequestRow;

const reply = (requests: RequestRow[], next: string | null = null) =>
  ({ type: "requests", ref: 1, requests, next }) as RequestsReply;

const settled = () => new Promise<void>((done) => setTimeout(done));

function monitorOf(list: (fields: Record<string, unknown>) => Promise<RequestsReply>, everyone = false) {
  const inspect = vi.fn(async (fields: { request_id: string }) => ({
    request: row(fields.request_id, { version: 5 }),
  }));
  const monitor = new Monitor({ list, inspect } as never, { ...NO_FILTER, everyone });
  return { monitor, inspect };
}

const ids = (monitor: Monitor) => monitor.get().rows.map((one) => one.request_id);

describe("Monitor", () => {
  it("loads a page, and the next one when asked", async () => {
    const list = vi.fn(async (fields: { before?: string }) =>
      fields.before
        ? reply([row("b")])
        : reply(
            Array.from({ length: 40 }, (_, index) => row(`a${index}`)),
            "mark",
          ),
    );
    const { monitor } = monitorOf(list as never);
    monitor.look(NO_FILTER);
    await settled();
    expect(monitor.get()).toMatchObject({ loaded: true, loading: false, hasMore: true });
    monitor.more();
    await settled();
    expect(ids(monitor)).toContain("b");
    expect(monitor.get().hasMore).toBe(false);
  });

  it("goes on over pages in which nothing fits, but not for ever", async () => {
    const list = vi.fn(async () => reply([], "mark"));
    const { monitor } = monitorOf(list);
    monitor.look({ ...NO_FILTER, text: "needle" });
    await settled();
    expect(list).toHaveBeenCalledTimes(5);
    expect(monitor.get()).toMatchObject({ loaded: true, hasMore: true });
  });

  it("keeps the higher version, and of one version the later look", async () => {
    const { monitor } = monitorOf(async () => reply([]));
    monitor.learn([row("r", { version: 2, status: "completed" })]);
    monitor.learn([row("r", { version: 1, status: "running" })]);
    expect(monitor.get().rows[0]!.status).toBe("completed");
    monitor.learn([row("r", { version: 2, tools: 3 })]);
    expect(monitor.get().rows[0]!.tools).toBe(3);
    monitor.learn([row("r", { version: 3, deleted: true })]);
    expect(monitor.get().rows).toEqual([]);
  });

  it("ignores the answer to a filter that was changed meanwhile", async () => {
    const waits: ((value: RequestsReply) => void)[] = [];
    const { monitor } = monitorOf(() => new Promise((done) => waits.push(done)));
    monitor.look(NO_FILTER);
    monitor.look({ ...NO_FILTER, agent: "demo" });
    waits[1]!(reply([row("new")]));
    waits[0]!(reply([row("old")], "mark"));
    await settled();
    expect(ids(monitor)).toEqual(["new"]);
    expect(monitor.get().hasMore).toBe(false);
  });

  it("looks singly at what is no longer among the active ones of everybody", async () => {
    let active = [row("x", { owner: "ann", status: "running" })];
    const { monitor, inspect } = monitorOf(async (fields) => reply(fields.active ? active : []), true);
    monitor.look({ ...NO_FILTER, everyone: true });
    await settled();
    await monitor.refresh();
    active = [];
    await monitor.refresh();
    expect(inspect).toHaveBeenCalledWith({ request_id: "x", owner: "ann" });
    expect(monitor.get().rows).toMatchObject([{ request_id: "x", owner: "ann", status: "completed" }]);
  });

  it("says why it could not look, and keeps what it knew", async () => {
    const { monitor } = monitorOf(async () => {
      throw new Error("Try again later.");
    });
    monitor.learn([row("r")]);
    monitor.look(NO_FILTER);
    await settled();
    expect(monitor.get()).toMatchObject({ error: "Try again later.", loading: false });
    expect(ids(monitor)).toEqual(["r"]);
  });
});

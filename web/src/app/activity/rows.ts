/** The monitor's rows as they are shown: their order, how it is held still under a reader's pointer, and their summary. */
import type { RequestRow } from "@sdk";
import { isActive, isFailure } from "./filters.ts";

const HOUR_MS = 3_600_000;

/** Names a row; ids are unique per owner only. */
export function rowKey(row: RequestRow): string {
  return `${row.owner ?? ""}/${row.request_id}`;
}

/** What is active first, then the rest; newest first in both. */
export function sortRows(rows: Iterable<RequestRow>): RequestRow[] {
  return [...rows].sort(
    (one, other) =>
      Number(isActive(other)) - Number(isActive(one)) ||
      (other.created_at ?? 0) - (one.created_at ?? 0) ||
      (rowKey(one) < rowKey(other) ? 1 : -1),
  );
}

/** Rows in the order to show, and how many wait unseen behind the "new" bar. */
export interface Arranged {
  readonly order: readonly string[];
  readonly fresh: number;
}

/** The order to show: `sorted` itself, or, while it is held, the one before. Held, rows keep their places even when they end
 * or no longer fit; those no longer in `known` leave, rows that are older than what is shown (a further page) are added
 * at the end, and newer ones are counted in `fresh`. */
export function arrange(
  before: readonly string[],
  sorted: readonly string[],
  held: boolean,
  known: (key: string) => boolean,
): Arranged {
  if (!held || before.length === 0) return { order: sorted, fresh: 0 };
  const kept = before.filter(known);
  const shown = new Set(kept);
  const lastShown = sorted.findLastIndex((key) => shown.has(key));
  const below = sorted.slice(lastShown + 1);
  const fresh = sorted.slice(0, lastShown + 1).reduce((count, key) => count + Number(!shown.has(key)), 0);
  if (lastShown < 0) return { order: kept, fresh: sorted.length };
  return { order: below.length ? [...kept, ...below] : kept, fresh };
}

/** What the summary line says. `failed`: in the last hour. `tokens`: of the rows given, input and output. */
export interface Summary {
  readonly running: number;
  readonly waiting: number;
  readonly failed: number;
  readonly tokens: number;
  readonly estimated: boolean;
}

/** Counts over `known` (all rows of the scope) and the tokens of `shown`. `now` in ms. */
export function summarise(known: Iterable<RequestRow>, shown: Iterable<RequestRow>, now: number): Summary {
  let running = 0;
  let waiting = 0;
  let failed = 0;
  for (const row of known) {
    if (row.deleted) continue;
    if (row.status === "waiting") waiting += 1;
    else if (isActive(row)) running += 1;
    else if (isFailure(row) && (row.ended_at ?? row.updated_at ?? 0) > now - HOUR_MS) failed += 1;
  }
  let tokens = 0;
  let estimated = false;
  for (const row of shown) {
    tokens += tokensOf(row);
    estimated ||= row.usage?.estimated === true;
  }
  return { running, waiting, failed, tokens, estimated };
}

/** Input and output tokens of a row. */
export function tokensOf(row: RequestRow): number {
  return (row.usage?.input_tokens ?? 0) + (row.usage?.output_tokens ?? 0);
}

/** The time since it was first taken up, in ms, to its end or to now, waits included. Null before that. */
export function elapsedMs(row: RequestRow, now: number): number | null {
  if (row.started_at == null) return null;
  return Math.max(0, (row.ended_at ?? (isActive(row) ? now : (row.updated_at ?? now))) - row.started_at);
}

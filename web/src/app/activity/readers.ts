/** Who was connected when, as lanes for the time axis: one per client and door, more where its spans overlap. */

/** One span of following, as `inspected` tells it. */
export interface Reader {
  readonly connection: string;
  readonly client?: string;
  readonly door: string;
  readonly since: number;
  readonly until?: number | null;
  readonly start: number;
  readonly end: number;
}

/** Spans that do not overlap, in order of time, under one name. */
export interface Lane {
  readonly key: string;
  readonly label: string;
  readonly door: string;
  readonly spans: readonly Reader[];
}

/** What a client that gives no name is called. */
export const UNNAMED = "A client without a name";

/** The lanes, in the order in which they first connected. */
export function lanes(readers: readonly Reader[]): Lane[] {
  const sorted = [...readers].sort((one, other) => one.since - other.since);
  const open: { label: string; door: string; spans: Reader[]; freeAt: number }[] = [];
  for (const reader of sorted) {
    const label = reader.client || UNNAMED;
    const free = open.find(
      (lane) => lane.label === label && lane.door === reader.door && lane.freeAt <= reader.since,
    );
    const lane = free ?? { label, door: reader.door, spans: [], freeAt: 0 };
    if (!free) open.push(lane);
    lane.spans.push(reader);
    lane.freeAt = reader.until ?? Number.POSITIVE_INFINITY;
  }
  return open.map(({ label, door, spans }, index) => ({ key: `${index}`, label, door, spans }));
}

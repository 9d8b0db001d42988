/** One request's log, lines, readers and row, kept up to date while it runs and somebody looks. */
import { useClient } from "@app/model/index.ts";
import type { Event as LogEvent, ReaderRow, RequestRow } from "@sdk";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { isActive } from "./filters.ts";
import type { Line } from "./line.ts";
import { type LogProgress, LogReader } from "./logReader.ts";
import { Story } from "./story.ts";
import { whileVisible } from "./ticking.ts";

/** How often readers and the row are looked at while something may change. */
const INSPECT_MS = 3_000;

/** What a story's screen shows. `events` grows in place; `log.count` tells how many there are. */
export interface StoryData {
  readonly row: RequestRow | null;
  readonly readers: readonly ReaderRow[];
  readonly events: readonly LogEvent[];
  readonly log: LogProgress;
  readonly lines: readonly Line[];
  /** When something was written, thinned. */
  readonly instants: readonly number[];
  /** Lines that were not made because there are too many. */
  readonly left: number;
  /** The log is not as it was written: its events were purged, the result stands. */
  readonly short: boolean;
  /** Why there is nothing to show; "" while all is well. */
  readonly error: string;
  readonly again: () => void;
}

interface Told {
  readonly reader: LogReader;
  readonly story: Story;
  count: number;
  lines: readonly Line[];
  instants: readonly number[];
}

/** The story of a request; `owner` is somebody else's name, for operators. */
export function useStory(requestId: string, owner: string | null): StoryData {
  const client = useClient();
  const [turn, setTurn] = useState(0);
  const whose = useMemo(() => (owner === null ? {} : { owner }), [owner]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another turn is another reading
  const reader = useMemo(
    () =>
      new LogReader((start, limit) =>
        client.call("read_events", { request_id: requestId, start, limit, ...whose }),
      ),
    [client, requestId, whose, turn],
  );
  const log = useSyncExternalStore(reader.subscribe, reader.get);
  useEffect(() => {
    reader.poke();
    return () => reader.close();
  }, [reader]);

  const [inspected, setInspected] = useState<{
    of: LogReader;
    row: RequestRow;
    readers: readonly ReaderRow[];
  } | null>(null);
  const [error, setError] = useState("");
  const known = inspected?.of === reader ? inspected : null;
  // Somebody may still be connected to what has ended, so it is looked at until nobody is.
  const settled = known !== null && !isActive(known.row) && known.readers.every((one) => one.until !== null);
  useEffect(() => {
    if (settled) return;
    let gone = false;
    let busy = false;
    const look = async () => {
      if (busy) return;
      busy = true;
      try {
        const reply = await client.call("inspect", { request_id: requestId, ...whose });
        if (gone) return;
        setInspected({ of: reader, row: reply.request, readers: reply.readers });
        setError("");
        reader.poke();
      } catch (failure) {
        if (!gone) setError(failure instanceof Error ? failure.message : "It could not be looked at.");
      } finally {
        busy = false;
      }
    };
    const end = whileVisible(INSPECT_MS, () => void look());
    return () => {
      gone = true;
      end();
    };
  }, [client, requestId, whose, reader, settled]);

  useEffect(() => {
    if (owner !== null) return;
    return client.feed.onRow((told) => {
      if (told.type !== "request" || told.request.request_id !== requestId) return;
      reader.poke();
      setInspected((before) =>
        before && before.row.version <= told.request.version ? { ...before, row: told.request } : before,
      );
    });
  }, [client, requestId, owner, reader]);

  // The story takes each event once; a render that finds new ones makes the lines anew.
  const told = useRef<Told | null>(null);
  if (told.current?.reader !== reader)
    told.current = { reader, story: new Story(), count: 0, lines: [], instants: [] };
  const now = told.current;
  if (now.count < log.count) {
    for (; now.count < log.count; now.count += 1) now.story.add(reader.events[now.count]!, now.count);
    now.lines = now.story.lines();
    now.instants = now.story.instants();
  }

  return {
    row: known?.row ?? null,
    readers: known?.readers ?? [],
    events: reader.events,
    log,
    lines: now.lines,
    instants: now.instants,
    left: now.story.left,
    short: now.story.short,
    error: known ? "" : error,
    again: () => {
      setError("");
      setTurn((before) => before + 1);
    },
  };
}

/** The monitor: requests as they run, wait and end, one's own or, for an operator, everybody's. */
import { announce, Button, EmptyState, Segmented, Spinner } from "@app/design/index.ts";
import { useConnection } from "@app/model/index.ts";
import type { RequestRow } from "@sdk";
import { Activity as ActivityIcon } from "lucide-react";
import { type KeyboardEvent, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useLocation, useSearch } from "wouter";
import styles from "./activity.module.css";
import { Filters } from "./Filters.tsx";
import { type Filter, fits, NO_FILTER, readFilter, writeFilter } from "./filters.ts";
import { Grid } from "./gridParts.tsx";
import { MonitorHead, MonitorRow } from "./MonitorRow.tsx";
import { rowKey, sortRows } from "./rows.ts";
import { StopDialog, useMine } from "./StopDialog.tsx";
import { SummaryLine } from "./SummaryLine.tsx";
import { useHeldOrder } from "./useHeldOrder.ts";
import { useMonitor } from "./useMonitor.ts";
import { VirtualRows } from "./VirtualRows.tsx";

const ROW_PX = 45;

/** The screen at /activity. Its filter is the address's query, so a link shows the same. */
export function ActivityScreen() {
  const connection = useConnection();
  const [, go] = useLocation();
  const search = useSearch();
  const asked = useMemo(() => readFilter(search), [search]);
  const filter = useMemo(
    () => (connection.operator ? asked : { ...asked, everyone: false }),
    [asked, connection.operator],
  );
  const setFilter = useCallback(
    (next: Filter) => {
      const query = writeFilter(next);
      go(query ? `/activity?${query}` : "/activity", { replace: true });
    },
    [go],
  );
  const monitor = useMonitor(filter);
  const mine = useMine();
  const [stopping, setStopping] = useState<RequestRow | null>(null);

  const byKey = useMemo(() => new Map(monitor.rows.map((row) => [rowKey(row), row])), [monitor.rows]);
  const sorted = useMemo(
    () => sortRows(monitor.rows.filter((row) => fits(row, filter))).map(rowKey),
    [monitor.rows, filter],
  );
  const scroller = useRef<HTMLDivElement>(null);
  const held = useHeldOrder(sorted, byKey, search, scroller);
  const [current, setCurrent] = useState<string | null>(null);
  const currentIndex = current === null ? -1 : held.order.indexOf(current);
  const grid = useRef<HTMLDivElement>(null);
  const moved = useRef(false);

  useEffect(() => {
    if (!moved.current || current === null) return;
    moved.current = false;
    // A windowed row may only be there after the next frame.
    const frame = requestAnimationFrame(() => {
      const row = grid.current?.querySelector<HTMLElement>(`[data-key="${CSS.escape(current)}"]`);
      row?.focus({ preventScroll: true });
      row?.scrollIntoView({ block: "nearest" });
    });
    return () => cancelAnimationFrame(frame);
  }, [current]);

  const count = monitor.loaded ? held.order.length : null;
  useEffect(() => {
    if (count !== null) announce(count === 1 ? "1 request shown" : `${count} requests shown`);
  }, [count]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const last = held.order.length - 1;
    const target =
      event.key === "ArrowDown"
        ? Math.min(last, currentIndex + 1)
        : event.key === "ArrowUp"
          ? Math.max(0, currentIndex - 1)
          : event.key === "Home"
            ? 0
            : event.key === "End"
              ? last
              : -1;
    if (target < 0 || last < 0) return;
    event.preventDefault();
    moved.current = true;
    setCurrent(held.order[target] ?? null);
  };

  const summaryRows = useMemo(
    () => held.order.map((key) => byKey.get(key)).filter((row) => row !== undefined),
    [held.order, byKey],
  );
  const filtered = writeFilter({ ...filter, everyone: false }) !== "";

  return (
    <div className={styles.screen} ref={scroller} onScroll={held.onScroll}>
      <header className={styles.head}>
        <div className={styles.titleRow}>
          <h1>Activity</h1>
          {connection.operator && (
            <Segmented
              label="Whose requests"
              value={filter.everyone ? "everyone" : "mine"}
              options={[
                { value: "mine", label: "Mine" },
                { value: "everyone", label: "Everyone" },
              ]}
              onChange={(scope) => setFilter({ ...filter, everyone: scope === "everyone" })}
            />
          )}
        </div>
        <SummaryLine known={monitor.rows} shown={summaryRows} />
        <Filters filter={filter} onChange={setFilter} rows={monitor.rows} />
      </header>
      {held.fresh > 0 && (
        <div className={styles.fresh}>
          <Button variant="primary" size="s" onClick={held.release}>
            {held.fresh} new
          </Button>
        </div>
      )}
      {monitor.error && held.order.length > 0 && (
        <p className={styles.trouble} role="alert">
          {monitor.error}{" "}
          <Button size="s" onClick={monitor.again}>
            Try again
          </Button>
        </p>
      )}
      {held.order.length > 0 ? (
        <Grid
          className={styles.grid}
          aria-label="Requests"
          aria-rowcount={held.order.length + 1}
          data-everyone={filter.everyone || undefined}
          ref={grid}
          onKeyDown={onKeyDown}
          onPointerEnter={held.onPointerEnter}
          onPointerLeave={held.onPointerLeave}
        >
          <MonitorHead everyone={filter.everyone} />
          <VirtualRows
            count={held.order.length}
            estimatePx={ROW_PX}
            scroller={scroller}
            keyAt={(index) => held.order[index] ?? `${index}`}
            reveal={moved.current ? currentIndex : null}
            onEnd={monitor.hasMore ? monitor.more : undefined}
          >
            {(index) => {
              const key = held.order[index]!;
              const row = byKey.get(key);
              return row ? (
                <MonitorRow
                  key={key}
                  row={row}
                  id={key}
                  index={index}
                  mine={mine(row)}
                  everyone={filter.everyone}
                  current={key === current || (currentIndex < 0 && index === 0)}
                  onFocus={setCurrent}
                  onStop={setStopping}
                />
              ) : null;
            }}
          </VirtualRows>
        </Grid>
      ) : (
        <Nothing
          loading={!monitor.loaded && !monitor.error}
          looking={monitor.loading}
          error={monitor.error}
          filtered={filtered}
          everyone={filter.everyone}
          onAgain={monitor.again}
          onClear={() => setFilter({ ...NO_FILTER, everyone: filter.everyone })}
        />
      )}
      <footer className={styles.foot}>
        {monitor.loading && held.order.length > 0 && <Spinner label="Loading more" />}
      </footer>
      <StopDialog row={stopping} onClose={() => setStopping(null)} />
    </div>
  );
}

interface NothingProps {
  readonly loading: boolean;
  readonly looking: boolean;
  readonly error: string;
  readonly filtered: boolean;
  readonly everyone: boolean;
  readonly onAgain: () => void;
  readonly onClear: () => void;
}

/** What stands in the place of the rows while there are none. */
function Nothing(props: NothingProps) {
  if (props.error)
    return (
      <EmptyState
        icon={<ActivityIcon />}
        title="The list could not be read"
        action={<Button onClick={props.onAgain}>Try again</Button>}
      >
        {props.error}
      </EmptyState>
    );
  if (props.loading || props.looking)
    return (
      <div className={styles.skeleton} role="status" aria-label="Loading requests">
        {[0, 1, 2, 3, 4, 5].map((line) => (
          <div key={line} className={styles.skeletonRow} />
        ))}
      </div>
    );
  if (props.filtered)
    return (
      <EmptyState
        icon={<ActivityIcon />}
        title="Nothing fits this filter"
        action={<Button onClick={props.onClear}>Show all</Button>}
      >
        No request that the server keeps is of this kind.
      </EmptyState>
    );
  return (
    <EmptyState icon={<ActivityIcon />} title="Nothing has been asked yet">
      {props.everyone
        ? "As soon as anybody asks something, it appears here and moves while it runs."
        : "Ask something in a chat: it appears here and moves while it runs."}
    </EmptyState>
  );
}

/** The monitor's data for React: one Monitor per scope, fed by lists, by the feed, and by looking again while visible. */
import { useClient } from "@app/model/index.ts";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import { type Filter, isActive } from "./filters.ts";
import { Monitor, type MonitorView } from "./monitor.ts";
import { whileVisible } from "./ticking.ts";

/** How often everybody's rows are looked at again. */
const EVERYONE_MS = 4_000;
/** How often tokens and tools of one's own active requests are; their statuses come by the feed at once. */
const MINE_MS = 5_000;
/** A filter that is being typed is looked for after this pause. */
const TYPING_MS = 250;

/** The rows known in the filter's scope, and how to get more of them. */
export function useMonitor(filter: Filter): MonitorView & { more: () => void; again: () => void } {
  const client = useClient();
  const { show, agent, text, everyone } = filter;
  const monitor = useMemo(
    () =>
      new Monitor(
        {
          list: (fields) => client.call("list_requests", fields),
          inspect: (fields) => client.call("inspect", fields),
        },
        { show: "all", agent: "", text: "", everyone },
      ),
    [client, everyone],
  );
  const view = useSyncExternalStore(monitor.subscribe, monitor.get);

  useEffect(() => {
    const wanted = { show, agent, text, everyone };
    if (!monitor.get().loaded) {
      monitor.look(wanted);
      return;
    }
    const timer = setTimeout(() => monitor.look(wanted), TYPING_MS);
    return () => clearTimeout(timer);
  }, [monitor, show, agent, text, everyone]);

  useEffect(() => {
    if (everyone) return;
    monitor.learn(client.feed.requests.get().values());
    return client.feed.onRow((row) => {
      if (row.type === "request") monitor.learn([row.request]);
    });
  }, [client, monitor, everyone]);

  const active = view.rows.some(isActive);
  useEffect(() => {
    if (!everyone && !active) return;
    return whileVisible(everyone ? EVERYONE_MS : MINE_MS, () => void monitor.refresh());
  }, [monitor, everyone, active]);

  return {
    ...view,
    more: () => monitor.more(),
    again: () => monitor.look(filter),
  };
}

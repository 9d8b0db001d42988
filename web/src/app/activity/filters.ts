/** Which requests the monitor shows: the filter, its form in the page's address, and what it asks the server for. */
import type { RequestRow } from "@sdk";

/** What to show. `runs`: what an agent has taken up at least once; `tools`: what called a tool; `failed`: what did not
 * reach its end though nobody stopped it. */
export type Show = "all" | "running" | "waiting" | "runs" | "tools" | "failed";

/** The monitor's filter. `agent` and `text` are "" for any; `everyone` is for operators. */
export interface Filter {
  readonly show: Show;
  readonly agent: string;
  readonly text: string;
  readonly everyone: boolean;
}

/** Everything of one's own. */
export const NO_FILTER: Filter = { show: "all", agent: "", text: "", everyone: false };

/** The choices, as people read them. */
export const SHOWS: readonly { value: Show; label: string }[] = [
  { value: "all", label: "All" },
  { value: "running", label: "Running" },
  { value: "waiting", label: "Waiting" },
  { value: "runs", label: "Agent executions" },
  { value: "tools", label: "Tool invocations" },
  { value: "failed", label: "Failures" },
];

/** As the server takes it: longer texts are refused there. */
const TEXT_CHARS_MAX = 200;
const AGENT_CHARS_MAX = 64;

const RUNNING: readonly string[] = ["new", "queued", "running"];
const FAILED: readonly string[] = ["failed", "timed_out", "interrupted"];

/** Whether it has no outcome yet. */
export function isActive(row: RequestRow): boolean {
  return RUNNING.includes(row.status) || row.status === "waiting";
}

/** Whether it ended otherwise than wished, and not by somebody's hand. */
export function isFailure(row: RequestRow): boolean {
  return FAILED.includes(row.status);
}

/** The filter in an address's query; anything unknown there counts as not said. */
export function readFilter(query: string): Filter {
  const given = new URLSearchParams(query);
  const show = SHOWS.find((one) => one.value === given.get("show"))?.value ?? "all";
  return {
    show,
    agent: (given.get("agent") ?? "").slice(0, AGENT_CHARS_MAX),
    text: (given.get("text") ?? "").slice(0, TEXT_CHARS_MAX),
    everyone: given.get("scope") === "everyone",
  };
}

/** The query of an address that says this filter, "" for none; what is at its default is left out. */
export function writeFilter(filter: Filter): string {
  const query = new URLSearchParams();
  if (filter.show !== "all") query.set("show", filter.show);
  if (filter.agent) query.set("agent", filter.agent);
  if (filter.text) query.set("text", filter.text);
  if (filter.everyone) query.set("scope", "everyone");
  return query.toString();
}

/** Whether the row is one of those shown. */
export function fits(row: RequestRow, filter: Filter): boolean {
  if (row.deleted) return false;
  if (filter.agent && row.agent !== filter.agent) return false;
  if (filter.text && !(row.title ?? "").toLowerCase().includes(filter.text.toLowerCase())) return false;
  switch (filter.show) {
    case "all":
      return true;
    case "running":
      return RUNNING.includes(row.status);
    case "waiting":
      return row.status === "waiting";
    case "runs":
      return (row.attempt ?? 0) > 0;
    case "tools":
      return (row.tools ?? 0) > 0;
    case "failed":
      return isFailure(row);
  }
}

/** The fields of `list_requests` that find what this filter shows. `runs` has none of its own: that is nearly all. */
export function asked(filter: Filter) {
  const text = filter.text.trim();
  return {
    ...(filter.everyone ? { everyone: true } : {}),
    ...(filter.agent ? { agent: filter.agent } : {}),
    ...(text ? { text } : {}),
    ...(filter.show === "tools" ? { tools: true } : {}),
    ...(filter.show === "running" ? { status: ["new", "queued", "running"] as const } : {}),
    ...(filter.show === "waiting" ? { status: ["waiting"] as const } : {}),
    ...(filter.show === "failed" ? { status: ["failed", "timed_out", "interrupted"] as const } : {}),
  };
}

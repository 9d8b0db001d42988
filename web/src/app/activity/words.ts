/** The words of activity: statuses, moments, what a line of a story says. */
import { formatDuration } from "@app/design/format.ts";
import { type Event as LogEvent, type RequestRow, type Status, waitingSentence } from "@sdk";
import { formatBytes, type Line, shortJson } from "./line.ts";

const STATUSES: Record<Status, string> = {
  new: "Accepted",
  queued: "Queued",
  running: "Running",
  waiting: "Needs you",
  completed: "Answered",
  failed: "Failed",
  cancelled: "Stopped",
  timed_out: "Timed out",
  interrupted: "Interrupted",
};

/** A status as people read it; what is not `mine` needs somebody else. */
export function statusWord(status: Status, mine = true): string {
  if (status === "waiting" && !mine) return "Needs its owner";
  return STATUSES[status] ?? status;
}

/** How a status looks. */
export function statusTone(status: Status): "run" | "wait" | "fail" | "neutral" | "ok" {
  if (status === "running" || status === "queued" || status === "new") return "run";
  if (status === "waiting") return "wait";
  if (status === "completed") return "ok";
  return status === "cancelled" ? "neutral" : "fail";
}

/** One sentence on how it stands or ended; "" where the status says it all. */
export function standing(row: RequestRow): string {
  const outcome = row.outcome;
  switch (row.status) {
    case "new":
    case "queued":
      return waitingSentence({ place: row.place, reason: row.queue_reason, estimateMs: row.estimate_ms });
    case "running":
      return row.attempt > 1 ? `Running, at attempt ${row.attempt}.` : "Running.";
    case "waiting":
      return "Waiting for a decision.";
    case "completed":
      return outcome && outcome.code !== "stop" ? `Complete, ended by: ${outcome.code}.` : "";
    default:
      return outcome?.message || (outcome?.code ? `Ended: ${outcome.code}.` : `${statusWord(row.status)}.`);
  }
}

/** A place in time of a replay: 0:05, 12:30, 1:02:03. */
export function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const tail = `${String(Math.floor(seconds / 60) % 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return seconds < 3600 ? tail : `${Math.floor(seconds / 3600)}:${tail.padStart(5, "0")}`;
}

const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
  hourCycle: "h23",
});
const MOMENT = new Intl.DateTimeFormat(undefined, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});

/** The time of day, to the millisecond. */
export function timeOfDay(at: number): string {
  return TIME.format(at);
}

/** Day and time. */
export function moment(at: number): string {
  return MOMENT.format(at);
}

/** What a line is called, and what it says beside that. `now` closes what still lasts. */
export function lineWords(line: Line, now: number): { title: string; detail: string } {
  const lasted = formatDuration((line.until ?? now) - line.from);
  switch (line.kind) {
    case "accepted":
      return { title: "Accepted", detail: `for ${line.name || "an agent"}` };
    case "queued":
      return { title: "Queued", detail: line.until === null ? `for ${lasted} so far` : `for ${lasted}` };
    case "attempt": {
      const first =
        line.firstOutputAt === null
          ? "no output"
          : `first output after ${formatDuration(line.firstOutputAt - line.from)}`;
      return { title: `Attempt ${line.attempt}`, detail: joined(line.name, lasted, first, marks(line)) };
    }
    case "text":
      return { title: "Text", detail: textDetail(line, now) };
    case "reasoning":
      return { title: "Thoughts", detail: textDetail(line, now) };
    case "tool":
      return { title: line.name, detail: joined("tool", lasted, line.more) };
    case "progress":
      return { title: `Progress: ${line.name}`, detail: joined(line.more, lasted) };
    case "wait":
      return { title: `Waited: ${line.name}`, detail: joined(lasted, line.more) };
    case "superseded":
      return { title: "Superseded", detail: joined(line.name, line.more) };
    case "outcome":
      return { title: statusWord(line.name as Status), detail: line.more === "stop" ? "" : line.more };
    case "note":
      return { title: line.name, detail: line.events > 1 ? `written ${line.events} times` : "" };
  }
}

function marks(line: Line): string {
  const count = line.checkpoints.length;
  return count === 0 ? "" : count === 1 ? "1 checkpoint" : `${count} checkpoints`;
}

/** "412 deltas, 3.1 kB over 5.2 s". */
function textDetail(line: Line, now: number): string {
  const deltas = line.deltas === 1 ? "1 delta" : `${line.deltas.toLocaleString()} deltas`;
  return `${deltas}, ${formatBytes(line.bytes)} over ${formatDuration((line.until ?? now) - line.from)}`;
}

function joined(...pieces: string[]): string {
  return pieces.filter(Boolean).join(" · ");
}

/** The fields of an event as one short line. */
export function eventFields(event: LogEvent): string {
  const said: string[] = [];
  for (const [name, value] of Object.entries(event)) {
    if (name === "type" || name === "at" || value === null || value === "") continue;
    if (name === "span" && value === 1) continue;
    said.push(`${name}: ${shortJson(typeof value === "string" ? value.slice(0, 200) : value)}`);
  }
  return said.join("  ");
}

/** What one raw event shows at most when it is opened; the rest is said to be missing. */
const JSON_CHARS_MAX = 20_000;

/** The event as indented JSON, cut at JSON_CHARS_MAX. */
export function eventJson(event: LogEvent): string {
  const text = JSON.stringify(event, null, 2);
  if (text.length <= JSON_CHARS_MAX) return text;
  return `${text.slice(0, JSON_CHARS_MAX)}\n… and ${(text.length - JSON_CHARS_MAX).toLocaleString()} characters more`;
}

/** What a request is called: by its question; one that has none of its own answers an earlier question again. */
export function titleOf(row: { readonly title: string; readonly chat_id: string | null }): string {
  return row.title || (row.chat_id === null ? "Without a title" : "Answered again");
}

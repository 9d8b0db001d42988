/** What people are told of a queued request; protocol/vectors/queueing.json has an example of each. */

const WAITS_FOR: Readonly<Record<string, string>> = {
  user: "Waits for one of your own answers to end",
  agent: "Waits for another answer of its agent to end",
  after: "Waits for the answer before it in its chat",
  not_before: "Waits for its time",
  alone: "Waits for a server that runs nothing else",
  no_worker: "Waits for a server that runs agents",
};

/** Where a queued request stands, as far as it is known. */
export interface Queued {
  /** How many are before it. */
  readonly place: number | null;
  /** What it waits for: `slots`, `user`, `agent`, `after`, `not_before`, `alone`, `no_worker`; others may come. */
  readonly reason: string | null;
  /** In how many milliseconds it is expected to begin. */
  readonly estimateMs: number | null;
}

/** Why it waits and for about how long: one sentence. */
export function waitingSentence({ place, reason, estimateMs }: Queued): string {
  const said = (reason !== null && Object.hasOwn(WAITS_FOR, reason) && WAITS_FOR[reason]) || byPlace(place);
  return estimateMs === null ? `${said}.` : `${said}; about ${about(estimateMs)}.`;
}

function byPlace(place: number | null): string {
  if (place === null) return "Waits for its turn";
  if (place === 0) return "It is next";
  return `${place} ${place === 1 ? "is" : "are"} before it`;
}

/** A time in round figures, never rounded down: nobody minds when it takes less. */
function about(ms: number): string {
  let seconds = Math.max(1, Math.ceil(ms / 1000));
  if (seconds > 10) seconds = Math.ceil(seconds / 10) * 10;
  if (seconds <= 90) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes <= 90 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
}

/** How ages, durations and counts are written for people. */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** How long ago, from an age in milliseconds: `now`, `5 min`, `3 h`, `2 d`, `7 wk`, `3 y`. A negative age is `now`. */
export function formatAge(ms: number): string {
  if (!(ms >= MINUTE_MS)) return "now";
  if (ms < HOUR_MS) return `${Math.floor(ms / MINUTE_MS)} min`;
  if (ms < DAY_MS) return `${Math.floor(ms / HOUR_MS)} h`;
  const days = Math.floor(ms / DAY_MS);
  if (days < 14) return `${days} d`;
  return days < 365 ? `${Math.floor(days / 7)} wk` : `${Math.floor(days / 365)} y`;
}

/** How long it took, from milliseconds: `80 ms`, `1.2 s`, `42 s`, `2 min 5 s`, `1 h 4 min`. */
export function formatDuration(ms: number): string {
  if (!(ms >= 0)) return "0 ms";
  if (ms < 995) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND_MS) return `${(ms / SECOND_MS).toFixed(1)} s`;
  const seconds = Math.round(ms / SECOND_MS);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min${seconds % 60 ? ` ${seconds % 60} s` : ""}`;
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)} h${minutes % 60 ? ` ${minutes % 60} min` : ""}`;
}

const COUNT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const EXACT = new Intl.NumberFormat("en");

/** A count: exact with separators up to 9,999, then `12.3K`, `4M`. */
export function formatCount(n: number): string {
  return Math.abs(n) < 10_000 ? EXACT.format(n) : COUNT.format(n);
}

/**
 * What screen readers are told in passing.
 *
 * One polite live region, fed at most once a second, so that twenty answers ending at once do not flood it: what is said
 * meanwhile is joined, and of very much only the newest is kept.
 */
import { createElement, useSyncExternalStore } from "react";

/** The pause between two announcements; screen readers drop what comes faster. */
const PAUSE_MS = 1000;
/** How many wait at most; older ones are stale by then. */
const WAITING_MAX = 4;

const waiting: string[] = [];
const listeners = new Set<() => void>();
let text = "";
let timer: ReturnType<typeof setTimeout> | undefined;

/** Says `sentence` to screen readers, politely and soon; the same sentence waiting already is not said twice. */
export function announce(sentence: string): void {
  if (!sentence || waiting.includes(sentence)) return;
  waiting.push(sentence);
  if (waiting.length > WAITING_MAX) waiting.shift();
  // Even the first waits a little: what happens together is said together.
  if (timer === undefined) timer = setTimeout(say, PAUSE_MS / 5);
}

function say(): void {
  const next = waiting.splice(0).join(" ");
  // The region must change to be read, also when the same is said again.
  text = next === text ? `${next}\u00a0` : next;
  for (const listener of listeners) listener();
  timer = setTimeout(() => {
    timer = undefined;
    if (waiting.length > 0) say();
  }, PAUSE_MS);
}

/** The region itself; mounted once, before anything is announced. */
export function LiveRegion() {
  const said = useSyncExternalStore(subscribe, () => text);
  return createElement(
    "div",
    { className: "visually-hidden", "aria-live": "polite", "aria-atomic": true },
    said,
  );
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

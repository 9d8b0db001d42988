/** A clock that components share: one timer for all of them, once a second, only while somebody looks. */
import { useSyncExternalStore } from "react";

const TICK_MS = 1_000;

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;
let now = 0;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  if (timer === undefined) {
    now = second();
    timer = setInterval(() => {
      now = second();
      for (const each of listeners) each();
    }, TICK_MS);
  }
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

const still = () => () => {};

/** The present second. It stays the same between ticks; while nobody listens it is looked up. */
function read(): number {
  if (timer === undefined) now = second();
  return now;
}

function second(): number {
  return Math.floor(Date.now() / TICK_MS) * TICK_MS;
}

/** The time in ms since 1970, to the second: ticking while `running`, else as it is when asked. */
export function useNow(running: boolean): number {
  return useSyncExternalStore(running ? subscribe : still, read);
}

/** One clock for everything on the screen that ages: it ticks once a second, only while the page is visible and read. */
import { useCallback, useSyncExternalStore } from "react";

const TICK_MS = 1_000;

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;
let ticks = 0;

function tick(): void {
  ticks += 1;
  for (const listener of listeners) listener();
}

function decide(): void {
  const wanted = listeners.size > 0 && document.visibilityState === "visible";
  if (wanted && timer === null) {
    timer = setInterval(tick, TICK_MS);
    tick();
  } else if (!wanted && timer !== null) {
    clearInterval(timer);
    timer = null;
  }
}

function subscribe(listener: () => void): () => void {
  if (listeners.size === 0) document.addEventListener("visibilitychange", decide);
  listeners.add(listener);
  if (timer === null) queueMicrotask(decide);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) document.removeEventListener("visibilitychange", decide);
    decide();
  };
}

const never = () => () => {};

/** Renders the caller again once a second while `on`; the number means nothing but that time has passed. */
export function useTick(on = true): number {
  return useSyncExternalStore(
    on ? subscribe : never,
    useCallback(() => ticks, []),
  );
}

/** Calls `run` every `everyMs` while the page is visible, and at once when it becomes visible. Returns the end of it. */
export function whileVisible(everyMs: number, run: () => void): () => void {
  let interval: ReturnType<typeof setInterval> | null = null;
  const change = () => {
    const visible = document.visibilityState === "visible";
    if (visible && interval === null) {
      run();
      interval = setInterval(run, everyMs);
    } else if (!visible && interval !== null) {
      clearInterval(interval);
      interval = null;
    }
  };
  document.addEventListener("visibilitychange", change);
  change();
  return () => {
    document.removeEventListener("visibilitychange", change);
    if (interval !== null) clearInterval(interval);
  };
}

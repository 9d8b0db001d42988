/**
 * The toasts that stand now: what is said, for how long, and what can be taken back.
 *
 * A toast's time runs only while nobody looks: hover or focus holds all of them, and so does a hidden tab.
 */

/** What a toast says and offers. */
export interface ToastInput {
  text: string;
  action?: { label: string; onSelect: () => void } | undefined;
  /** `danger` and `fail` are the same. */
  tone?: "neutral" | "fail" | "danger" | "ok" | undefined;
}

/** A toast that stands. */
export interface Toast extends ToastInput {
  id: number;
}

/** Reading takes 3 s; an offer to undo stands longer, for the keyboard must get there. */
const PLAIN_MS = 5000;
const ACTION_MS = 10000;
/** More than three hide the page; the oldest goes. */
const TOASTS_MAX = 3;

interface Running extends Toast {
  leftMs: number;
  startedAt: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

let running: readonly Running[] = [];
let held = false;
const listeners = new Set<() => void>();

/** Shows a toast; returns how to take it away early. */
export function toast(input: ToastInput): () => void {
  const entry: Running = {
    ...input,
    id: ++lastId,
    leftMs: input.action || input.tone === "fail" || input.tone === "danger" ? ACTION_MS : PLAIN_MS,
    startedAt: 0,
    timer: undefined,
  };
  for (const old of running.slice(0, Math.max(0, running.length + 1 - TOASTS_MAX))) dismiss(old.id);
  set([...running, entry]);
  if (!held) resume(entry);
  return () => dismiss(entry.id);
}
let lastId = 0;

/** Takes a toast away; its action is then no longer offered. */
export function dismiss(id: number): void {
  const entry = running.find((one) => one.id === id);
  if (!entry) return;
  clearTimeout(entry.timer);
  set(running.filter((one) => one !== entry));
}

/** Stops (true) or continues (false) the time of all toasts. */
export function holdToasts(on: boolean): void {
  if (on === held) return;
  held = on;
  for (const entry of running) {
    if (on) pause(entry);
    else resume(entry);
  }
}

/** The toasts that stand, oldest first; the same array until it changes. */
export function currentToasts(): readonly Toast[] {
  return running;
}

/** Calls `listener` whenever the toasts change. */
export function subscribeToasts(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function pause(entry: Running): void {
  clearTimeout(entry.timer);
  entry.leftMs -= Date.now() - entry.startedAt;
}

function resume(entry: Running): void {
  entry.startedAt = Date.now();
  entry.timer = setTimeout(() => dismiss(entry.id), entry.leftMs);
}

function set(next: readonly Running[]): void {
  running = next;
  for (const listener of listeners) listener();
}

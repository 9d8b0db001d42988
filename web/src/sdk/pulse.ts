/**
 * Signs of life: finds out that a connection is dead although nobody has closed it.
 *
 * A browser tells a page nothing of the pings that the server sends, and nothing of the time it slept; so silence is met
 * with a ping of our own, and a timer that went off far too late (or, by a clock that was set back, too early) counts as
 * waking up. After waking, frames that the browser had taken in before prove nothing: only the answer to the ping does, or
 * that more and more is heard.
 */
import type { Timers } from "./surroundings.ts";

/** How long a ping may go unanswered when there is reason to think that the connection is dead. */
export const CHECK_MS = 3_000;

/** The same where the browser says that there is no network: then only this very machine can answer, and does at once. */
export const OFFLINE_CHECK_MS = 1_500;

/** A timer this much early tells of a clock that was set back. */
const EARLY_MS = 1_000;

export interface PulseOptions {
  readonly now: () => number;
  readonly timers: Timers;
  /** Send a ping. */
  readonly ping: () => void;
  /** The connection is dead. */
  readonly dead: (reason: string) => void;
}

export class Pulse {
  readonly #options: PulseOptions;
  #heartbeatMs: number | null = null;
  #beat: unknown = null;
  #heardAt = 0;
  #heard = 0;
  /** Pings whose answer has not come; answers come in the order of the pings. */
  #unanswered = 0;
  /** The check that is under way: until when, what had been heard when it began, and whether the ping was answered. */
  #check: { readonly dueAt: number; timer: unknown; heard: number } | null = null;

  constructor(options: PulseOptions) {
    this.#options = options;
  }

  /** The connection may be used; the server says something at least so often. */
  begin(heartbeatMs: number): void {
    this.end();
    this.#heartbeatMs = heartbeatMs;
    this.#heardAt = this.#options.now();
    this.#unanswered = 0;
    this.#ping();
    this.#beatIn(heartbeatMs);
  }

  /** There is no connection any more. */
  end(): void {
    const { timers } = this.#options;
    this.#heartbeatMs = null;
    timers.clear(this.#beat);
    if (this.#check) timers.clear(this.#check.timer);
    this.#check = null;
  }

  /** A frame came. */
  heard(): void {
    this.#heardAt = this.#options.now();
    this.#heard++;
  }

  /** A ping was answered. */
  answered(): void {
    this.#unanswered = Math.max(0, this.#unanswered - 1);
    if (!this.#check || this.#unanswered > 0) return;
    this.#options.timers.clear(this.#check.timer);
    this.#check = null;
  }

  /** Find out whether the connection still stands: a ping that must be answered within so many ms. */
  check(withinMs = CHECK_MS): void {
    if (this.#heartbeatMs === null) return;
    const { now, timers } = this.#options;
    const dueAt = now() + withinMs;
    if (this.#check) {
      if (this.#check.dueAt <= dueAt) return;
      timers.clear(this.#check.timer);
    }
    const check = { dueAt, timer: null as unknown, heard: this.#heard };
    const due = () => {
      if (this.#heard === check.heard) {
        this.#check = null;
        this.#options.dead("The connection was lost.");
        return;
      }
      // The answer may stand behind much else; but then that has to go on coming.
      check.heard = this.#heard;
      check.timer = timers.set(due, withinMs);
    };
    check.timer = timers.set(due, withinMs);
    this.#check = check;
    this.#ping();
  }

  #ping(): void {
    this.#unanswered++;
    this.#options.ping();
  }

  #beatIn(waitMs: number): void {
    const { timers, now } = this.#options;
    const dueAt = now() + waitMs;
    this.#beat = timers.set(() => this.#looked(now() - dueAt), waitMs);
  }

  #looked(lateMs: number): void {
    const heartbeatMs = this.#heartbeatMs;
    if (heartbeatMs === null) return;
    const silentMs = this.#options.now() - this.#heardAt;
    if (lateMs > heartbeatMs || lateMs < -EARLY_MS || silentMs < 0) {
      // The machine slept, the tab was frozen or the clock was set: what has been silence until now is not known.
      this.#heardAt = this.#options.now();
      this.#beatIn(heartbeatMs);
      this.check();
    } else if (silentMs >= 2 * heartbeatMs) this.#options.dead("Nothing was heard from the server.");
    else if (silentMs >= heartbeatMs) {
      this.#ping();
      this.#beatIn(2 * heartbeatMs - silentMs);
    } else this.#beatIn(heartbeatMs - silentMs);
  }
}

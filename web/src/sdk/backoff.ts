/**
 * How long to wait before the next try to connect: exponential with full jitter.
 *
 * Full jitter (anything from nothing to the bound) spreads a crowd that lost the same server at the same moment; a wait
 * that is only about so long would keep the crowd together.
 */

/** The first bound: a server that only dropped one socket is back at once. */
export const BASE_MS = 250;

/** The last bound: a person who waits should not wait longer than this for a server that is back. */
export const CAP_MS = 30_000;

/** A connection that held this long forgives the failures before it. */
export const STABLE_MS = 10_000;

export class Backoff {
  failures = 0;
  readonly #random: () => number;

  /** `random` gives a number from 0 up to 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Count a failure and tell how long to wait in ms; `atLeastMs` is what the server asked for. */
  next(atLeastMs = 0): number {
    const boundMs = Math.min(CAP_MS, BASE_MS * 2 ** Math.min(this.failures, 30));
    this.failures++;
    return atLeastMs + this.#random() * boundMs;
  }

  /** Note how long the connection that has just ended held. */
  lasted(heldMs: number): void {
    if (heldMs >= STABLE_MS) this.failures = 0;
  }
}

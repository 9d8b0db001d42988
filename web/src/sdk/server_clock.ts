/** The server's clock as it can be known from its answers to pings. Pure. */

export class ServerClock {
  /** How far it is ahead of this machine's, in ms. */
  aheadMs = 0;
  #askedAt: number | null = null;
  #doubtMs = Number.POSITIVE_INFINITY;

  /** A ping was sent. */
  asked(nowMs: number): void {
    this.#askedAt = nowMs;
  }

  /** Its answer came, with the time there; the quicker the answer, the better that is known. */
  answered(at: number, nowMs: number): void {
    if (this.#askedAt === null) return;
    const tookMs = nowMs - this.#askedAt;
    if (tookMs >= 0 && tookMs <= this.#doubtMs) {
      this.aheadMs = at - (this.#askedAt + tookMs / 2);
      this.#doubtMs = tookMs;
    }
    this.#askedAt = null;
  }

  /** Another connection: whatever comes is better than what was known of the last. */
  renew(): void {
    this.#askedAt = null;
    this.#doubtMs = Number.POSITIVE_INFINITY;
  }
}

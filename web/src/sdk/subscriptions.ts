/**
 * What is followed over one connection after another: who has a subscription, who waits for one, and for what. Pure.
 *
 * A Following wants a subscription until it has one. It gets it at once if there is room and it was not put off; what was
 * put off rests until `rested`, each for itself, so that a server which asks for patience is not asked by all at once as
 * soon as the first may ask again.
 */
import type { Following, Verdict } from "./following.ts";
import type { Happening } from "./happenings.ts";
import { type ErrorReply, LIMITS, type Push } from "./wire.gen.ts";

/** What subscriptions need of their session. */
export interface SubscriptionHost {
  /** Whether commands go out at once. */
  ready(): boolean;
  /** How many things this server lets one connection follow, as it said. */
  bound(): number | undefined;
  /** Send a subscribe; gives its ref. */
  subscribe(following: Following): number;
  unsubscribe(requestId: string): void;
}

export class Subscriptions {
  readonly #host: SubscriptionHost;
  readonly #all = new Map<string, Following>();
  readonly #resting = new Set<Following>();
  /** Fewer than the limit after the server has said that there were too many. */
  #max = Number.POSITIVE_INFINITY;

  constructor(host: SubscriptionHost) {
    this.#host = host;
  }

  get(requestId: string): Following | undefined {
    return this.#all.get(requestId);
  }

  /** Whether a followed request waits for another to free its place. */
  get crowded(): boolean {
    return (
      this.#host.ready() && this.#room() <= 0 && [...this.#all.values()].some((each) => each.state === "want")
    );
  }

  /** Whether a submit may subscribe to this. */
  admits(following: Following): boolean {
    return following.state === "want" && this.#room() > 0;
  }

  /** Follow a request to its end, from the cursor that `following` has. */
  add(following: Following): void {
    if (this.#all.has(following.requestId)) return;
    this.#all.set(following.requestId, following);
    this.subscribe();
  }

  /** It is followed by a submit that was sent. */
  submitted(following: Following, ref: number): void {
    this.#all.set(following.requestId, following);
    following.asked(ref, true);
  }

  /** Stop following; fold and cursor stay with the Following. */
  drop(requestId: string): void {
    const following = this.#all.get(requestId);
    if (!following) return;
    this.#remove(following);
    if (following.state === "asked" || following.state === "live") {
      if (this.#host.ready()) this.#host.unsubscribe(requestId);
      following.paused();
    }
    this.subscribe();
  }

  /** The connection is gone. */
  disconnected(): void {
    this.#max = Number.POSITIVE_INFINITY;
    this.#resting.clear();
    for (const following of this.#all.values()) following.dropped();
  }

  /** Follow nothing any more. */
  loseAll(reason: string, message: string): void {
    for (const following of this.#all.values()) following.lose(reason, message);
    this.#all.clear();
    this.#resting.clear();
  }

  /** What was put off may be tried again. */
  rested(requestId: string): void {
    const following = this.#all.get(requestId);
    if (following) this.#resting.delete(following);
    this.subscribe();
  }

  /** Ask for what is wanted and may be asked for. */
  subscribe(): void {
    if (!this.#host.ready()) return;
    let room = this.#room();
    for (const following of this.#all.values()) {
      if (room <= 0) return;
      if (following.state !== "want" || this.#resting.has(following)) continue;
      following.asked(this.#host.subscribe(following));
      room--;
    }
  }

  /** Take a push about a request. */
  push(push: Extract<Push, { type: "page" | "caught_up" | "snapshot" | "gone" }>): Happening[] {
    const following = this.#all.get(push.request_id);
    if (!following) return [];
    switch (push.type) {
      case "page":
        return this.#judge(following, following.page(push));
      case "caught_up":
        return this.#judge(following, following.caughtUp(push));
      case "snapshot":
        following.snapshot(push.reason);
        return [];
      case "gone":
        return this.#lose(following, "gone", "This answer was deleted.");
    }
  }

  /** A subscribe was granted. */
  granted(following: Following): Happening[] {
    following.granted();
    return [{ type: "changed", requestId: following.requestId }];
  }

  /** A subscribe was refused. */
  refused(following: Following, error: ErrorReply): Happening[] {
    const { requestId } = following;
    if (error.code === "too_many_subscriptions") {
      following.paused();
      // What stands now is what this server allows; the next one that ends makes room.
      this.#max = Math.max(1, this.#taken());
    } else if (!error.retryable) return this.#lose(following, error.code, error.message);
    else {
      following.paused();
      this.#resting.add(following);
    }
    return [{ type: "put_off", requestId, tries: ++following.refusals, waitMs: error.retry_after_ms ?? 0 }];
  }

  /** The submit that was to be followed was refused. */
  notSubmitted(following: Following): void {
    this.#remove(following);
    following.paused();
  }

  /** How many more requests may be followed on this connection. One place is the feed's. */
  #room(): number {
    const told = this.#host.bound() ?? LIMITS.subscriptions_per_connection_max;
    return Math.min(told - 1, this.#max) - this.#taken();
  }

  #taken(): number {
    let taken = 0;
    for (const each of this.#all.values()) if (each.state === "asked" || each.state === "live") taken++;
    return taken;
  }

  #judge(following: Following, verdict: Verdict): Happening[] {
    const { requestId } = following;
    if (verdict === "start_over") {
      // Leave the old subscription first: what it still had under way must not be taken for the new one's.
      this.#host.unsubscribe(requestId);
      following.asked(this.#host.subscribe(following));
      return [{ type: "changed", requestId }];
    }
    if (following.state === "ended" || following.state === "lost") {
      // Whoever reads it holds the Following itself; a session that lives for months must not hold them all.
      this.#remove(following);
      this.subscribe();
    }
    return verdict === "same" ? [] : [{ type: "changed", requestId }];
  }

  #lose(following: Following, reason: string, message: string): Happening[] {
    this.#remove(following);
    following.lose(reason, message);
    this.subscribe();
    return [{ type: "changed", requestId: following.requestId }];
  }

  #remove(following: Following): void {
    this.#all.delete(following.requestId);
    this.#resting.delete(following);
  }
}

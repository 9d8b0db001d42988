/** Which answers the server is asked to tell of: those that somebody holds, and for a moment those that somebody held. */
import type { Answer } from "./answer.ts";
import { CAP_MS } from "./backoff.ts";
import type { Session } from "./session.ts";
import type { Shelf } from "./shelf.ts";
import type { Timers } from "./surroundings.ts";

/** How long after its release an answer is still followed: who comes back at once costs nothing. */
export const LINGER_MS = 1_000;

/** The first bound of the wait before what was put off is tried again; it doubles. */
const PUT_OFF_MS = 500;

export interface FollowingsOptions {
  readonly shelf: Shelf;
  readonly session: Session;
  readonly timers: Timers;
  readonly random: () => number;
  /** Whether it is known what waits to be sent. */
  readonly known: () => boolean;
  /** Send what the session has to say. */
  readonly flush: () => void;
}

export class Followings {
  readonly #to: FollowingsOptions;

  constructor(options: FollowingsOptions) {
    this.#to = options;
  }

  /** Somebody looks at it from now on. */
  held(answer: Answer): void {
    this.#to.shelf.hold(answer);
    this.#follow(answer);
    this.#to.flush();
    answer.changed();
  }

  #follow(answer: Answer): void {
    const following = answer.follower();
    // What waits to be sent, or may for all that is known yet, cannot be followed: the server would know nothing of it.
    if (following.state !== "ended" && this.#to.known() && !answer.isUnsent)
      this.#to.session.follow(following);
  }

  /** What waits to be sent is known: what is held and does not wait is followed. */
  outboxKnown(): void {
    for (const answer of this.#to.shelf.held) if (answer.following?.state !== "lost") this.#follow(answer);
    this.#to.flush();
  }

  /** Nobody looks at it any more. */
  released(answer: Answer): void {
    const release = () => {
      if (answer.isHeld) return;
      this.#to.session.unfollow(answer.requestId);
      this.#to.flush();
      this.#to.shelf.release(answer);
      answer.changed();
    };
    // Where others wait for a subscription there is nothing to linger for.
    if (this.#to.session.crowded) release();
    else this.#to.timers.set(release, LINGER_MS);
  }

  /** The server put it off (without an id: the watch): ask again after `waitMs` at the earliest. */
  putOff(requestId: string | null, tries: number, waitMs: number): void {
    const jitterMs = this.#to.random() * Math.min(CAP_MS, PUT_OFF_MS * 2 ** Math.min(tries, 10));
    this.#to.timers.set(() => {
      this.#to.session.resume(requestId);
      this.#to.flush();
    }, waitMs + jitterMs);
  }
}

/**
 * Following one request: from pushes to a transcript whose every byte is accounted for. Pure.
 *
 *     want --subscribe sent--> asked --reply--> live --caught_up, sealed, digest equal--> ended
 *      ^                         |                |
 *      |                         v refused        |- gap, illegal event, wrong digest: start over (bounded)
 *      '---- connection lost -- lost <-- gone ----'
 *
 * Pushes are taken in `live` only: what arrives while a subscribe is unanswered belongs to the subscription before it. A
 * snapshot is folded beside what is shown and replaces it when it has been verified, so nobody sees a half-told state.
 */
import { offsetOf } from "./cursor.ts";
import { Fold, IllegalEvent } from "./fold.ts";
import type { LivePart } from "./live_part.ts";
import type { CaughtUpPush, PagePush, ResetReason, StartedEvent } from "./wire.gen.ts";

/** Fresh starts in a row that may fail to verify; more would be a loop between two ends that disagree. */
export const STARTS_OVER_MAX = 3;

export type FollowingState = "want" | "asked" | "live" | "ended" | "lost";
export type Verdict = "same" | "changed" | "ended" | "start_over";

export class Following {
  readonly requestId: string;
  state: FollowingState = "want";
  /** The unanswered subscribe or submit. */
  ref: number | null = null;
  /** Whether that is a submit, which is repeated by itself. */
  bySubmit = false;
  cursor: string | null = null;
  fold: Fold;
  staging: Fold | null = null;
  lost: { readonly reason: string; readonly message: string } | null = null;
  verified = false;
  /** Snapshots that were swapped in: whoever shows the fold looks at all of it again. */
  swaps = 0;
  /** Subscribes in a row that the server put off. */
  refusals = 0;
  readonly #superseding: (dropped: readonly LivePart[], by: StartedEvent) => void;
  #failures = 0;
  #reset: ResetReason = "start";

  constructor(
    requestId: string,
    superseding: (dropped: readonly LivePart[], by: StartedEvent) => void = () => {},
  ) {
    this.requestId = requestId;
    this.#superseding = superseding;
    this.fold = new Fold(superseding);
  }

  /** A command that subscribes was sent; take no push until its reply. */
  asked(ref: number, bySubmit = false): void {
    this.state = "asked";
    this.ref = ref;
    this.bySubmit = bySubmit;
    this.staging = null;
  }

  /** The reply came; `start` is the cursor it named, if any. Pushes count from here on. */
  granted(start: string | null = null): void {
    this.state = "live";
    this.ref = null;
    this.bySubmit = false;
    this.refusals = 0;
    if (this.cursor === null && start) this.cursor = start;
  }

  /** The connection is gone. A subscribe must be sent again; a submit is repeated by itself. */
  dropped(): void {
    this.staging = null;
    if (this.state === "live" || (this.state === "asked" && !this.bySubmit)) {
      this.state = "want";
      this.ref = null;
    }
  }

  /** Nobody reads it now; fold and cursor stay for whoever comes back. */
  paused(): void {
    this.staging = null;
    this.bySubmit = false;
    this.ref = null;
    if (this.state === "live" || this.state === "asked") this.state = "want";
  }

  /** It cannot be followed any more. */
  lose(reason: string, message: string): void {
    this.state = "lost";
    this.ref = null;
    this.lost = { reason, message };
    this.staging = null;
  }

  /** Pages from offset 0 follow; keep showing what there is until they are verified. */
  snapshot(reason: ResetReason): void {
    if (this.state !== "live") return;
    // What a snapshot's own log supersedes was dropped before anybody here saw it.
    this.staging = new Fold();
    this.#reset = reason;
  }

  /** Take a page. On `start_over`: subscribe again with the cursor as it is now (none). */
  page(page: PagePush): Verdict {
    if (this.state !== "live") return "same";
    const target = this.staging ?? this.fold;
    const after = offsetOf(page.next);
    const spans = page.events.reduce((sum, event) => sum + event.span, 0);
    if (after === null || page.start !== target.offset || page.start + spans !== after)
      return this.#startOver();
    try {
      for (const event of page.events) target.apply(event);
    } catch (error) {
      if (!(error instanceof IllegalEvent)) throw error;
      return this.#startOver();
    }
    if (this.staging) return "same";
    this.cursor = page.next;
    return "changed";
  }

  /** Compare notes with the server, and swap in a snapshot that is sound. */
  caughtUp(push: CaughtUpPush): Verdict {
    if (this.state !== "live") return "same";
    const target = this.staging ?? this.fold;
    const digest = target.digest();
    const agreed =
      offsetOf(push.cursor) === target.offset &&
      push.parts === digest.parts &&
      push.bytes === digest.bytes &&
      push.digest === digest.crc &&
      push.sealed === target.sealed;
    if (!agreed) return this.#startOver();
    const swapped = this.staging !== null;
    if (swapped) {
      const before = this.fold.live;
      if (this.#reset === "superseded" && target.started) {
        const standing = before.findIndex((part, index) => !sameOpening(part, target.live[index]));
        if (standing >= 0) this.#superseding(before.slice(standing), target.started);
      }
      // From here on this is what is shown, so what it supersedes was seen.
      this.fold = target.watchedBy(this.#superseding);
      this.staging = null;
      this.swaps++;
    }
    const news = swapped || !this.verified;
    this.cursor = push.cursor;
    this.verified = true;
    this.#failures = 0;
    if (push.sealed) {
      this.state = "ended";
      return "ended";
    }
    return news ? "changed" : "same";
  }

  #startOver(): Verdict {
    this.#failures++;
    this.cursor = null;
    this.staging = null;
    this.verified = false;
    if (this.#failures > STARTS_OVER_MAX) {
      this.lose(
        "unverifiable",
        "The answer that arrives does not match what the server holds; please report this.",
      );
      return "changed";
    }
    this.state = "want";
    return "start_over";
  }
}

function sameOpening(one: LivePart, other: LivePart | undefined): boolean {
  return other !== undefined && one.kind === other.kind && one.fields.at === other.fields.at;
}

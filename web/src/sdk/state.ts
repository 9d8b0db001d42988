/** What readers are told: of the connection, of one answer, of what waits to be sent. Values, never changed in place. */
import type { CommandError } from "./errors.ts";
import type { Part } from "./parts.ts";
import type { Queued } from "./queueing.ts";
import type { NoticePush, Outcome, Status, Submission, UsageEvent } from "./wire.gen.ts";

/** Where the connection is. `waiting`: between two tries; `offline`: the browser says that there is no network; `refused`:
 * the server said that trying again is of no use. */
export type Phase = "idle" | "connecting" | "online" | "waiting" | "offline" | "refused" | "closed";

export interface ConnectionState {
  readonly phase: Phase;
  /** When the next try is due, in ms since 1970 by this machine's clock. */
  readonly retryAt: number | null;
  /** Tries in a row that have failed. */
  readonly tries: number;
  /** One sentence for people; empty when all is well. */
  readonly reason: string;
  /** The close code of the last connection. */
  readonly code: number | null;
  /** Whether `setToken` is what would help. */
  readonly needsToken: boolean;
  /** Whether the server has said that it will restart soon. */
  readonly draining: boolean;
  /** Whether what waits to be sent would outlive this page; false where the browser's storage fails. */
  readonly durable: boolean;
  /** Who is here, by the last welcome; before the first what `ClientOptions.user` says, or "". */
  readonly user: string;
  readonly server: string;
  readonly operator: boolean;
  /** What the server said of the bounds that an operator can change. */
  readonly limits: Readonly<Record<string, number>>;
  /** Submits that wait to be accepted. */
  readonly unsent: number;
  /** Since when this phase lasts, in ms since 1970 by this machine's clock. */
  readonly since: number;
}

/** What an attempt showed that another has superseded. */
export interface Attempt {
  readonly attempt: number;
  /** Why the one after it began: retry, recovered, handed_over, … */
  readonly reason: string;
  readonly parts: readonly Part[];
}

/** Where a submit of this client is: in the outbox, on its way, refused, or durable with the server. */
export type Delivery = "outbox" | "sending" | "refused" | "accepted";

/** Whether what is shown is whole: a snapshot is on its way, it is being followed, it has ended, nobody follows it now, it
 * can not be followed any more. */
export type Sync = "snapshot" | "live" | "ended" | "paused" | "lost";

export interface AnswerState {
  readonly requestId: string;
  readonly chatId: string | null;
  /** The message of the person that it answers. */
  readonly messageId: string | null;
  readonly parentId: string | null;
  readonly delivery: Delivery;
  readonly refusal: CommandError | null;
  readonly status: Status | "unsent";
  readonly agent: string;
  readonly attempt: number;
  /** Why this attempt began. */
  readonly reason: string;
  readonly parts: readonly Part[];
  /** What earlier attempts showed, as far as it was seen here and is still kept; oldest first. */
  readonly superseded: readonly Attempt[];
  readonly acceptedAt: number | null;
  /** When the present attempt began. */
  readonly startedAt: number | null;
  /** When the first text was written (by the server's clock). */
  readonly firstOutputAt: number | null;
  readonly endedAt: number | null;
  readonly usage: UsageEvent | null;
  readonly outcome: Outcome | null;
  /** While it is queued: where it stands, as last told. */
  readonly queued: Queued | null;
  readonly offset: number;
  readonly sync: Sync;
  readonly lostReason: string;
  /** Whether what is shown was the server's own, byte for byte, when it was last compared. */
  readonly verified: boolean;
}

/** What a caller submits: the wire's submission; ids that are left out are made. */
export type SubmissionInput = Submission;

/** A submit that has not been accepted. */
export interface OutboxEntry {
  readonly requestId: string;
  readonly submission: Submission & { readonly request_id: string };
  /** The user as whom it was submitted (`welcome.user`); null if nobody was known yet. */
  readonly owner: string | null;
  /** Its place: entries go out in this order. */
  readonly order: number;
  /** When it was submitted, in ms since 1970 by this machine's clock. */
  readonly at: number;
  /** `withdrawn` is in stores only: it was taken back, and the server has not yet said that it is over there. */
  readonly state: "waiting" | "sending" | "refused" | "withdrawn";
  /** Why it was refused, or why it is being tried again. */
  readonly error: OutboxError | null;
}

export interface OutboxError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
}

/** A notice of the server's, and when it came (ms since 1970 by this machine's clock). */
export interface NoticeRow extends NoticePush {
  readonly at: number;
}

/** The result of stopping a request: `won` if this call ended it, and the status that stands. */
export interface CancelResult {
  readonly won: boolean;
  readonly status: Status;
}

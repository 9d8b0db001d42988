/** An answer's state put together from what is known of it here and there. Pure. */
import { CommandError } from "./errors.ts";
import type { Following } from "./following.ts";
import type { Part } from "./parts.ts";
import type { Queued } from "./queueing.ts";
import type { AnswerState, Attempt, OutboxEntry, Sync } from "./state.ts";
import type { RequestRow, SubmittedReply } from "./wire.gen.ts";

/** What is known. The fold comes first, then what the feed and the reply to the submit told, then what was asked. */
export interface AnswerFacts {
  readonly requestId: string;
  readonly parts: readonly Part[];
  readonly following: Following | null;
  readonly entry: OutboxEntry | null;
  readonly row: RequestRow | null;
  readonly submitted: SubmittedReply | null;
  readonly refusal: CommandError | null;
  readonly attempts: readonly Attempt[];
  /** Where it stood when that was last told. */
  readonly queued: Queued | null;
  /** The state before, of which equal values are taken over. */
  readonly before: AnswerState | undefined;
}

const DELIVERIES = {
  waiting: "outbox",
  sending: "sending",
  refused: "refused",
  withdrawn: "refused",
} as const;
const OUTPUT: ReadonlySet<string> = new Set(["text", "reasoning", "tool"]);

export function answerState(facts: AnswerFacts): AnswerState {
  const { parts, following, entry, row, submitted, before } = facts;
  const fold = following?.fold;
  const accepted = fold?.accepted ?? null;
  const asked = entry?.submission;
  const known = fold && fold.status !== "new" ? fold.status : null;
  const outcome = fold?.outcome ?? (known ? null : (row?.outcome ?? null));
  const refusal =
    entry?.state === "refused" && entry.error
      ? new CommandError(entry.error.code, entry.error.message, entry.error.retryable)
      : facts.refusal;
  const unsent = entry !== null || facts.refusal !== null;
  const status = known ?? (unsent ? "unsent" : (row?.status ?? submitted?.status ?? "new"));
  return {
    requestId: facts.requestId,
    chatId: accepted?.chat_id ?? submitted?.chat_id ?? row?.chat_id ?? asked?.chat_id ?? null,
    messageId: accepted?.message_id ?? submitted?.message_id ?? row?.message_id ?? asked?.message_id ?? null,
    parentId: accepted?.parent_id ?? submitted?.parent_id ?? asked?.parent_id ?? null,
    delivery: entry ? DELIVERIES[entry.state] : facts.refusal ? "refused" : "accepted",
    refusal: sameError(refusal, before?.refusal) ? before!.refusal : refusal,
    status,
    agent: accepted?.agent ?? row?.agent ?? asked?.agent ?? "",
    attempt: fold?.started?.attempt ?? (known ? 0 : (row?.attempt ?? 0)),
    reason: fold?.started?.reason ?? "",
    parts,
    superseded: facts.attempts,
    acceptedAt: accepted?.at ?? row?.created_at ?? null,
    startedAt: fold?.started?.at ?? null,
    firstOutputAt: parts.find((part) => OUTPUT.has(part.kind))?.at ?? null,
    endedAt: outcome?.at ?? null,
    usage: fold?.usage ?? (known ? null : (row?.usage ?? null)),
    outcome,
    queued: status === "queued" ? sameQueued(facts.queued ?? queuedOf(row), before?.queued) : null,
    offset: fold?.offset ?? 0,
    sync: syncOf(following),
    lostReason: following?.lost?.message ?? "",
    verified: following?.verified ?? false,
  };
}

function queuedOf(row: RequestRow | null): Queued | null {
  if (!row || row.place === null) return null;
  return { place: row.place, reason: row.queue_reason, estimateMs: row.estimate_ms };
}

function sameQueued(now: Queued | null, before: Queued | null | undefined): Queued | null {
  const same =
    now &&
    before &&
    now.place === before.place &&
    now.reason === before.reason &&
    now.estimateMs === before.estimateMs;
  return same ? before : now;
}

function syncOf(following: Following | null): Sync {
  if (!following) return "paused";
  switch (following.state) {
    case "live":
      return following.staging || following.fold.offset === 0 ? "snapshot" : "live";
    case "ended":
    case "lost":
      return following.state;
    default:
      return "paused";
  }
}

function sameError(one: CommandError | null, other: CommandError | null | undefined): boolean {
  return !!one && !!other && one.code === other.code && one.message === other.message;
}

/** Whether two states are the same but for one field. */
export function sameBut(one: AnswerState, other: AnswerState, but: string): boolean {
  return (Object.keys(other) as (keyof AnswerState)[]).every(
    (key) => key === but || key === "parts" || Object.is(one[key], other[key]),
  );
}

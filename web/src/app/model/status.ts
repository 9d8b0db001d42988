/** What a status means to the person: whether it lives, went wrong, or waits. */
import { type AnswerState, LIVE_STATUSES, OUTCOME_STATUSES, type RequestRow, type Status } from "@sdk";
import type { MessageStatus } from "./types.ts";

const LIVE: ReadonlySet<string> = new Set(LIVE_STATUSES);
const ENDED: ReadonlySet<string> = new Set(OUTCOME_STATUSES);
const WRONG: ReadonlySet<string> = new Set<Status>(["failed", "timed_out", "interrupted"]);

/** Queued, running or waiting. */
export function isLive(status: string): boolean {
  return LIVE.has(status);
}

/** It has an outcome. */
export function isEnded(status: string): boolean {
  return ENDED.has(status);
}

/** It ended otherwise than whole, and not by the person's wish. */
export function isFailure(status: string): boolean {
  return WRONG.has(status);
}

/** An answer's status from all that is known: the one who follows it knows best, then who was told last that it ended. */
export function answerStatus(
  state: AnswerState | null,
  request: RequestRow | undefined,
  stored: Status | null,
): MessageStatus {
  if (state !== null) {
    if (state.delivery !== "accepted") return "unsent";
    if (isEnded(state.status)) return state.status;
    if (state.sync === "live" && state.status !== "new") return state.status;
  }
  if (stored !== null && isEnded(stored)) return stored;
  if (request) return request.status;
  return state !== null && isLive(state.status) ? state.status : "queued";
}

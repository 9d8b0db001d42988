/** Where a queued answer stands: what was told last, and the row before that. */
import { expect, it } from "vitest";
import { type AnswerFacts, answerState } from "./answer_state.ts";
import type { RequestRow } from "./wire.gen.ts";

const row = { status: "queued", place: 3, queue_reason: "slots", estimate_ms: 30_000 } as RequestRow;
const facts: AnswerFacts = {
  requestId: "r1",
  parts: [],
  following: null,
  entry: null,
  row,
  submitted: null,
  refusal: null,
  attempts: [],
  queued: null,
  before: undefined,
};

it("tells what the row says until a notice says more", () => {
  expect(answerState(facts).queued).toEqual({ place: 3, reason: "slots", estimateMs: 30_000 });
  const told = { place: 0, reason: "user", estimateMs: null };
  expect(answerState({ ...facts, queued: told }).queued).toEqual(told);
});

it("keeps the same value while nothing changes, and none once it runs", () => {
  const before = answerState(facts);
  expect(answerState({ ...facts, before }).queued).toBe(before.queued);
  const running = { ...row, status: "running" } as RequestRow;
  expect(answerState({ ...facts, row: running, before }).queued).toBeNull();
  expect(answerState({ ...facts, row: { ...row, place: null } }).queued).toBeNull();
});

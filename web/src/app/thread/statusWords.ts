/** What statuses and outcomes are called for people. */
import { outcomeWords } from "@app/answer/index.ts";
import type { MessageStatus } from "@app/model/index.ts";
import type { Outcome } from "@sdk";

/** What is on its way for so long is said to be unsent: with a good connection nobody sees it. */
export const SENT_SOON_MS = 800;

/** Whether something may still come: it waits to be sent, to begin, for more output, or for the person. */
export function isLive(status: MessageStatus | null): boolean {
  return (
    status === "unsent" ||
    status === "new" ||
    status === "queued" ||
    status === "running" ||
    status === "waiting"
  );
}

/** Why an answer is not what was asked for, in a sentence; "" if it is, or if the person stopped it. */
export function whyItEnded(status: MessageStatus, outcome: Outcome | null): string {
  const told = outcome?.message || outcomeWords(outcome);
  switch (status) {
    case "failed":
      return told || "This answer failed.";
    case "timed_out":
      return told || "This answer took too long and was ended.";
    case "interrupted":
      return told || "This answer was interrupted.";
    default:
      return "";
  }
}

/** What a screen reader hears when an answer changes its status; "" for changes that need no word. */
export function announcement(before: MessageStatus | null, now: MessageStatus, title: string): string {
  if (before === now) return "";
  const where = title ? ` in ${title}` : "";
  switch (now) {
    case "running":
      // Back from waiting is the person's own doing.
      return before === "waiting" ? "" : `The answer${where} has started.`;
    case "waiting":
      return `The answer${where} needs your decision.`;
    case "completed":
      return `The answer${where} is complete.`;
    case "cancelled":
      return `The answer${where} was stopped.`;
    case "failed":
    case "timed_out":
    case "interrupted":
      return `The answer${where} failed.`;
    default:
      return "";
  }
}

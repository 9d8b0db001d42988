/** Why an answer ended otherwise than whole, and what a person can do about it. */
import type { Outcome } from "@sdk";

const CAUSES: Readonly<Record<string, string>> = {
  "completed length": "It reached the length limit, so the end is missing. Ask it to go on.",
  "completed content_filter": "The model's filter stopped it. Put the question in other words.",
  "cancelled user": "You stopped it.",
  "cancelled chat_deleted": "It was stopped because its chat was deleted.",
  "cancelled operator": "It was stopped by an operator of this server.",
  "timed_out queue": "It waited too long for its turn. Try again when less is running.",
  "timed_out first_output": "The model did not begin in time. Try again.",
  "timed_out stall": "The model fell silent in mid-answer. What it wrote stands; try again for the rest.",
  "timed_out total": "It took longer than is allowed. Ask for less at once, or try again.",
};
const KINDS: Readonly<Record<string, string>> = {
  failed: "It failed.",
  cancelled: "It was stopped.",
  timed_out: "It ran out of time.",
  interrupted: "The server went down too often while it was being written. What it wrote stands; try again.",
};

/** One or two sentences; "" for an answer that is whole. The server's own message goes before ours. */
export function outcomeWords(outcome: Outcome | null): string {
  if (outcome === null) return "";
  const { type, code, message = "", retryable = false } = outcome;
  const known = CAUSES[`${type} ${code}`];
  if (type === "completed") return known ?? "";
  if (type === "cancelled") return known ?? KINDS.cancelled!;
  const what = message.trim() !== "" ? sentence(message) : (known ?? KINDS[type] ?? "It ended early.");
  const next =
    message.trim() !== "" || (known === undefined && type !== "interrupted")
      ? retryable
        ? " Trying again may help."
        : ""
      : "";
  const named = code !== "" && known === undefined ? ` (${code})` : "";
  return `${what}${next}${named}`;
}

function sentence(message: string): string {
  const text = message.trim();
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

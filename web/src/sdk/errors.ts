/** What can go wrong for a caller: one error with the facts, not only a sentence. */
import { ERRORS } from "./wire.gen.ts";

/** A command that was refused, or that got no answer. `code` is one of the protocol's, or one of the client's own:
 * `timeout` (no reply in time; whether it took effect is not known), `closed` (the client was closed), `replaced` (somebody else
 * signed in), `outbox_full` and `withdrawn`. `message` is for people and says what to do. `retryAfterMs`: when, at the earliest, to try again. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly code: string;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;

  constructor(code: string, message: string, retryable = false, retryAfterMs: number | null = null) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The error for a code of the protocol's own, with its own advice. */
export function refusal(code: keyof typeof ERRORS): CommandError {
  return new CommandError(code, ERRORS[code].advice, ERRORS[code].retryable);
}

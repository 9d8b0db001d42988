/** The commands that have had no reply: each is held until it is answered, however many connections that takes. Pure. */
import { CommandError, refusal } from "./errors.ts";
import { type CommandType, LIMITS } from "./wire.gen.ts";

/** Commands that may wait for a reply; a page that has more in flight has lost count of them. */
export const UNANSWERED_MAX = 1000;

/** Characters of them: all are held until answered, while there is no connection too. */
export const UNANSWERED_CHARS_MAX = 16 * LIMITS.command_bytes_max;

/** A command as it was sent, and what its reply is for. */
export type Sent =
  | { readonly type: "call"; readonly kind: CommandType; readonly frame: string }
  | { readonly type: "submit"; readonly requestId: string; readonly frame: string };

export class Unanswered {
  readonly #held = new Map<number, Sent>();
  #chars = 0;

  /** Hold a command until `take`. Throws CommandError outbox_full or too_large, and then it is not held. */
  put(ref: number, sent: Sent): void {
    const { length } = sent.frame;
    // A character is at most three bytes, so most frames need no exact count.
    const over =
      length * 3 > LIMITS.command_bytes_max &&
      new TextEncoder().encode(sent.frame).length > LIMITS.command_bytes_max;
    if (over) throw refusal("too_large");
    if (this.#held.size >= UNANSWERED_MAX || this.#chars + length > UNANSWERED_CHARS_MAX)
      throw new CommandError(
        "outbox_full",
        "Too much waits for the server; let some of it return first.",
        true,
      );
    this.#held.set(ref, sent);
    this.#chars += length;
  }

  /** Let go of a command: it was answered, or nobody waits for that any more. Null if it is not held. */
  take(ref: number): Sent | null {
    const sent = this.#held.get(ref);
    if (!sent) return null;
    this.#held.delete(ref);
    this.#chars -= sent.frame.length;
    return sent;
  }

  /** Let go of all of them. */
  clear(): void {
    this.#held.clear();
    this.#chars = 0;
  }

  /** All of them in the order in which they were issued, to be sent again. */
  *frames(): Iterable<string> {
    for (const { frame } of this.#held.values()) yield frame;
  }
}

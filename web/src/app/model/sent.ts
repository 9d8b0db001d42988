/**
 * What was submitted in one chat and is not in its history yet: unsent, refused, or accepted a moment ago.
 *
 * A submission leaves the outbox when it is accepted, and its messages come with the next look at the history; between
 * the two it is kept here, so that nothing that the person wrote goes from the screen for a moment. One that left for
 * another reason (another tab withdrew it) goes when the history has been looked at and does not hold it.
 */
import type { Answer, Client, OutboxEntry, Submission } from "@sdk";

/** One submission and what has become of it. */
export interface Sent {
  readonly requestId: string;
  readonly submission: Submission;
  readonly answer: Answer;
  readonly at: number;
  /** It was seen in the outbox; what is not there yet has not left it. */
  listed: boolean;
  /** Gone from the outbox, and not known to be accepted. */
  doubtful: boolean;
}

/** See the module's text. */
export class SentList {
  readonly all = new Map<string, Sent>();
  readonly #byMessage = new Map<string, Sent>();
  readonly #client: Client;
  readonly #chatId: string;

  constructor(client: Client, chatId: string) {
    this.#client = client;
    this.#chatId = chatId;
  }

  /** The submission that brought this message of the person. */
  ofMessage(messageId: string): Sent | undefined {
    return this.#byMessage.get(messageId);
  }

  add(submission: Submission, answer: Answer, at: number): Sent {
    const sent = { requestId: answer.requestId, submission, answer, at, listed: false, doubtful: false };
    this.all.set(sent.requestId, sent);
    if (asks(submission)) this.#byMessage.set(submission.message_id, sent);
    return sent;
  }

  drop(requestId: string): void {
    const sent = this.all.get(requestId);
    this.all.delete(requestId);
    if (sent && asks(sent.submission)) this.#byMessage.delete(sent.submission.message_id);
  }

  /** Take over what the outbox holds of this chat. True if there are submissions now that a look at the history must
   * clear up. */
  follow(entries: readonly OutboxEntry[]): boolean {
    const here = new Set<string>();
    for (const entry of entries) {
      if (entry.submission.chat_id !== this.#chatId) continue;
      here.add(entry.requestId);
      const sent =
        this.all.get(entry.requestId) ??
        this.add(entry.submission, this.#client.answer(entry.requestId), entry.at);
      sent.listed = true;
      sent.doubtful = false;
    }
    let look = false;
    for (const sent of [...this.all.values()]) {
      if (here.has(sent.requestId) || !sent.listed || isAccepted(sent)) continue;
      if (sent.answer.state.get().refusal?.code === "withdrawn") {
        this.drop(sent.requestId);
      } else if (!sent.doubtful) {
        sent.doubtful = true;
        look = true;
      }
    }
    return look;
  }

  /** The history was read: drop what it holds, and what should be there and is not. */
  settle(isKnown: (id: string) => boolean): void {
    for (const sent of [...this.all.values()]) {
      const asked = !asks(sent.submission) || isKnown(sent.submission.message_id);
      if (sent.doubtful || (asked && isKnown(sent.requestId))) this.drop(sent.requestId);
    }
  }
}

/** Whether the submission brings a message of the person, under an id that was made here. */
export function asks(
  submission: Submission,
): submission is Submission & { text: string; message_id: string } {
  return typeof submission.text === "string" && typeof submission.message_id === "string";
}

/** Whether the server has it. */
export function isAccepted(sent: Sent): boolean {
  return sent.answer.state.get().delivery === "accepted";
}

/** Why the server refused it, for people; "" if it did not. */
export function refusalOf(answer: Answer): string {
  const { delivery, refusal } = answer.state.get();
  return delivery === "refused" ? (refusal?.message ?? "The server did not accept it.") : "";
}

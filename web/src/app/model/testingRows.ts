/** Rows for the model's tests: what is not given is as in a quiet chat `c`. */
import type { ChatRow, MessageRow, OutboxEntry, RequestRow, SubmissionInput, Transcript } from "@sdk";

/** A row of a chat; what is not given is as of one in which nothing ended. */
export function chat(chatId: string, change: Partial<ChatRow> = {}): ChatRow {
  return {
    chat_id: chatId,
    version: 1,
    title: chatId,
    agent: null,
    created_at: 1,
    updated_at: 1,
    seen_at: 1,
    last_request_id: null,
    last_status: null,
    last_ended_at: 0,
    archived: false,
    deleted: false,
    ...change,
  };
}

/** A row of a request of chat `c`. */
export function request(requestId: string, change: Partial<RequestRow> = {}): RequestRow {
  return {
    request_id: requestId,
    version: 1,
    status: "running",
    agent: "demo",
    chat_id: "c",
    message_id: null,
    created_at: 1,
    updated_at: 1,
    started_at: null,
    ended_at: null,
    attempt: 1,
    place: null,
    queue_reason: null,
    estimate_ms: null,
    outcome: null,
    usage: null,
    tools: 0,
    title: requestId,
    owner: null,
    deleted: false,
    ...change,
  };
}

/** A message of chat `c`: of the person, if its id begins with u, else a finished answer. */
export function message(
  id: string,
  parentId: string | null,
  at: number,
  change: Partial<MessageRow> = {},
): MessageRow {
  const user = id.startsWith("u");
  return {
    message_id: id,
    chat_id: "c",
    role: user ? "user" : "assistant",
    parent_id: parentId,
    created_at: at,
    text: `text of ${id}`,
    transcript: user ? null : transcript(`text of ${id}`),
    status: user ? null : "completed",
    damaged: false,
    ...change,
  };
}

/** The transcript of a finished answer with one text. */
export function transcript(text: string): Transcript {
  const parts = [{ kind: "text" as const, at: 1, text, open: false }];
  return {
    status: "completed",
    agent: "demo",
    attempt: 1,
    accepted_at: 1,
    started_at: 1,
    usage: null,
    outcome: null,
    parts,
  } as unknown as Transcript;
}

/** An entry of the outbox. */
export function entry(submission: SubmissionInput, at: number): OutboxEntry {
  const requestId = submission.request_id as string;
  const whole = { ...submission, request_id: requestId };
  return { requestId, submission: whole, order: at, at, owner: null, state: "waiting", error: null };
}

/** A chat's messages for `useChat({ messages })`: the newest branch, as the AI SDK's UI messages. */
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from "ai";
import {
  type Client,
  CommandError,
  LIVE_STATUSES,
  type MessageRow,
  type MessagesReply,
  type OutboxEntry,
  transcriptParts,
} from "../sdk/index.ts";
import { ChunkTeller } from "./chunks.ts";
import { leftOut } from "./left_out.ts";

/** How many messages are read; older ones than these are left out. */
export const MESSAGES_MAX = 1000;

/** Messages of one reply; the most that the server gives. */
const PAGE = 200;

const live: ReadonlySet<string> = new Set(LIVE_STATUSES);

/** The newest branch of a chat, oldest message first; of a chat that does not exist, none. Questions that wait in the outbox
 * are at its end. An answer that still runs is not there: `resume: true` brings it, also when it ends in between. Rejects with
 * CommandError. */
export async function loadMessages(client: Client, chatId: string): Promise<UIMessage[]> {
  const rows = new Map<string, MessageRow>();
  let tip: MessageRow | undefined;
  let asked: string | null = null;
  let before: string | null = null;
  leftOut(client).delete(chatId);
  try {
    do {
      const page: MessagesReply = await client.call("list_messages", {
        chat_id: chatId,
        limit: PAGE,
        before,
      });
      const running = before === null ? page.requests[0] : undefined;
      if (running !== undefined) {
        leftOut(client).set(chatId, running.request_id);
        asked = running.message_id;
      }
      for (const row of page.messages) {
        tip ??= row;
        rows.set(row.message_id, row);
      }
      before = page.next;
    } while (before !== null && rows.size < MESSAGES_MAX);
  } catch (error) {
    if (!(error instanceof CommandError && error.code === "unknown_chat")) throw error;
  }
  const branch: UIMessage[] = [];
  for (let row = rows.get(asked ?? "") ?? tip; row !== undefined; row = rows.get(row.parent_id ?? "")) {
    const message = await messageOf(row);
    if (message !== null) branch.unshift(message);
  }
  const unsent = client.outbox.get().filter((entry) => entry.submission.chat_id === chatId && asks(entry));
  return [...branch, ...unsent.map(questionOf).filter(({ id }) => !rows.has(id))];
}

/** One row as a UI message; null for an answer that has not ended. */
export async function messageOf(row: MessageRow): Promise<UIMessage | null> {
  if (row.role === "user") return textMessage(row.message_id, row.text);
  const { transcript, status } = row;
  if (status === null || live.has(status)) return null;
  const message: UIMessage = {
    id: row.message_id,
    role: "assistant",
    metadata: { requestId: row.message_id, status },
    parts: [],
  };
  if (transcript === null) return message; // what it showed is gone: erased, or damaged
  const chunks = new ChunkTeller(row.message_id).tell({
    requestId: row.message_id,
    chatId: row.chat_id,
    messageId: transcript.message_id,
    parentId: row.parent_id,
    delivery: "accepted",
    refusal: null,
    status,
    agent: transcript.agent,
    attempt: transcript.attempt,
    reason: transcript.reason,
    parts: transcriptParts(transcript),
    superseded: [],
    acceptedAt: transcript.accepted_at,
    startedAt: transcript.started_at,
    firstOutputAt: null,
    endedAt: transcript.outcome?.at ?? null,
    usage: transcript.usage,
    outcome: transcript.outcome,
    queued: null,
    offset: transcript.offset,
    sync: "ended",
    lostReason: "",
    verified: true,
  });
  const stream = new ReadableStream<UIMessageChunk>({
    start: (controller) => {
      // How it ended stands in its metadata; it is not its content.
      for (const chunk of chunks) if (chunk.type !== "error") controller.enqueue(chunk);
      controller.close();
    },
  });
  let folded = message;
  for await (const state of readUIMessageStream({ message, stream })) folded = state;
  return folded;
}

function asks({ state, submission }: OutboxEntry): boolean {
  return state !== "refused" && typeof submission.text === "string" && Boolean(submission.message_id);
}

function questionOf({ submission }: OutboxEntry): UIMessage {
  return textMessage(submission.message_id ?? "", submission.text ?? "");
}

function textMessage(id: string, text: string): UIMessage {
  return { id, role: "user", parts: [{ type: "text", text }] };
}

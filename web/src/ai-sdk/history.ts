/** A chat's messages for `useChat({ messages })`: the newest branch, as the AI SDK's UI messages. */
import { type Client, type MessageRow, transcriptParts } from "@sdk";
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from "ai";
import { ChunkTeller } from "./chunks.ts";

/** How many messages are read; older ones than these are left out. */
export const MESSAGES_MAX = 1000;

/** The newest branch of a chat, oldest message first, without an answer that still runs: `resume: true` brings that.
 * Rejects with CommandError. */
export async function loadMessages(client: Client, chatId: string): Promise<UIMessage[]> {
  const rows = new Map<string, MessageRow>();
  let newest: MessageRow | undefined;
  let before: string | undefined;
  do {
    const page = await client.call("list_messages", {
      chat_id: chatId,
      limit: 200,
      ...(before && { before }),
    });
    for (const row of page.messages) {
      newest ??= row;
      rows.set(row.message_id, row);
    }
    before = page.next ?? undefined;
  } while (before !== undefined && rows.size < MESSAGES_MAX);
  const branch: UIMessage[] = [];
  for (let row = newest; row !== undefined; row = rows.get(row.parent_id ?? "")) {
    const message = await messageOf(row);
    if (message !== null) branch.unshift(message);
  }
  return branch;
}

/** One row as a UI message; null for an answer that has not ended. */
export async function messageOf(row: MessageRow): Promise<UIMessage | null> {
  if (row.role === "user")
    return { id: row.message_id, role: "user", parts: [{ type: "text", text: row.text ?? "" }] };
  const { transcript } = row;
  if (!transcript?.outcome) return null;
  const teller = new ChunkTeller(row.message_id);
  const chunks: UIMessageChunk[] = teller.tell({
    requestId: row.message_id,
    chatId: row.chat_id,
    messageId: transcript.message_id ?? null,
    parentId: row.parent_id ?? null,
    delivery: "accepted",
    refusal: null,
    status: transcript.status ?? "completed",
    agent: transcript.agent ?? "",
    attempt: transcript.attempt ?? 0,
    reason: "",
    parts: transcriptParts(transcript),
    superseded: [],
    acceptedAt: transcript.accepted_at ?? null,
    startedAt: transcript.started_at ?? null,
    firstOutputAt: null,
    endedAt: null,
    usage: transcript.usage ?? null,
    outcome: transcript.outcome,
    place: null,
    offset: transcript.offset ?? 0,
    sync: "ended",
    lostReason: "",
    verified: true,
  });
  let message: UIMessage = { id: row.message_id, role: "assistant", parts: [] };
  const stream = new ReadableStream<UIMessageChunk>({
    start: (controller) => {
      for (const chunk of chunks) if (chunk.type !== "error") controller.enqueue(chunk); // how it ended is not its content
      controller.close();
    },
  });
  for await (const state of readUIMessageStream({ message, stream })) message = state;
  return message;
}

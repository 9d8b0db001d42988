/** What the tests of the transport stand on: a transport whose server is the test, and a chat as that server has it. */
import type { UIMessage, UIMessageChunk } from "ai";
import { type FakeSocket, Rig, settle } from "../sdk/rig.ts";
import { loadMessages } from "./history.ts";
import { HoldfastTransport, type HoldfastTransportOptions } from "./transport.ts";

export type Sending = Parameters<HoldfastTransport["sendMessages"]>[0];

export const asked = (id: string, text: string): UIMessage => ({
  id,
  role: "user",
  parts: [{ type: "text", text }],
});
export const answered = (id: string): UIMessage => ({
  id,
  role: "assistant",
  metadata: { requestId: id },
  parts: [{ type: "text", text: "Yes." }],
});

export async function online(options: Partial<HoldfastTransportOptions> = {}) {
  const rig = new Rig();
  const socket = await rig.online();
  const transport = new HoldfastTransport({ client: rig.client, ...options });
  const send = async (messages: UIMessage[], more: Partial<Sending> = {}) => {
    const stream = await transport.sendMessages({
      chatId: "c",
      messages,
      trigger: "submit-message",
      messageId: undefined,
      abortSignal: undefined,
      ...more,
    });
    await settle();
    return stream;
  };
  const submitted = () => socket.last("submit").request as Record<string, unknown> & { request_id: string };
  return { rig, socket, transport, send, submitted };
}

/** Says that the last submit was accepted. */
export async function accept(socket: FakeSocket): Promise<string> {
  const frame = socket.last("submit");
  const { request_id, message_id } = frame.request as { request_id: string; message_id?: string };
  socket.say({
    type: "submitted",
    ref: frame.ref,
    request_id,
    chat_id: "c",
    message_id,
    cursor: "0-0.0a0a0a0a",
  });
  await settle();
  return request_id;
}

export async function refuse(socket: FakeSocket, type: string, code: string): Promise<void> {
  socket.say({ type: "error", ref: socket.last(type).ref, code, message: `It is ${code}.` });
  await settle();
}

export async function all(stream: ReadableStream<UIMessageChunk>): Promise<UIMessageChunk[]> {
  const chunks: UIMessageChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

export const written = (chunks: UIMessageChunk[]): string =>
  chunks.map((chunk) => (chunk.type === "text-delta" ? chunk.delta : "")).join("");

export const COMPLETED = { type: "completed", at: 9, code: "stop" };

export const TRANSCRIPT = {
  offset: 6,
  status: "completed",
  agent: "demo",
  parts: [{ kind: "text", at: 3, text: "Hello." }],
  outcome: { type: "completed", at: 9, code: "stop" },
};
export const QUESTION = { message_id: "m1", chat_id: "c", role: "user", created_at: 1, text: "One" };
export const ANSWER = { message_id: "r-1", chat_id: "c", role: "assistant", parent_id: "m1", created_at: 2 };
export const WHOLE = { ...ANSWER, status: "completed", transcript: TRANSCRIPT };
export const ROW = {
  request_id: "r-2",
  version: 1,
  status: "running",
  agent: "demo",
  chat_id: "c",
  message_id: "m1",
  created_at: 1,
  updated_at: 1,
};

/** Loads the chat, of which the server says this. */
export async function loaded(rig: Rig, socket: FakeSocket, reply: object): Promise<UIMessage[]> {
  const loading = loadMessages(rig.client, "c");
  await settle();
  socket.say({ type: "messages", ref: socket.last("list_messages").ref, ...reply });
  return loading;
}

export const unanswered = (rig: Rig, socket: FakeSocket) => loaded(rig, socket, { messages: [] });
/** Loads a chat whose question is being answered once more. */
export const running = (rig: Rig, socket: FakeSocket) =>
  loaded(rig, socket, { messages: [WHOLE, QUESTION], requests: [ROW] });

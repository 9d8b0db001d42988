/** The AI SDK's ChatTransport over our socket: `useChat` that survives what its own transports do not.

A lost connection never reaches `useChat`: the client reconnects and goes on from its cursor while the stream stays open.
After a reload `resume: true` finds the chat's running request and tells it from its start, which `useChat` folds into the
message it had; no byte twice, none lost.

What `useChat` shows and what the server has can differ by messages that never got there: greetings that the page made up,
questions that were refused or taken back. They are passed over where a place in the chat's tree is named. */
import type { ChatTransport, UIMessage, UIMessageChunk } from "ai";
import { type Answer, type Client, newId, type SubmissionInput } from "../sdk/index.ts";
import { ChunkTeller, type MessageMetadata } from "./chunks.ts";
import { Bounded, leftOut } from "./left_out.ts";

/** What may be an id on the wire. */
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** How many messages are remembered that have another id at the server, or never got there; the oldest is forgotten first. */
const REMEMBERED_MAX = 500;

export interface HoldfastTransportOptions {
  /** A client that its owner has started, and closes. */
  readonly client: Client;
  /** The agent to ask; otherwise the chat's own, or the server's default. */
  readonly agent?: string | undefined;
  /** What `stop()` means: end the request (`cancel`, the default), or only stop reading it. `useChat` stops the chat that it
   * made itself when its component goes; a `Chat` that was made outside and is given as `chat` stays. */
  readonly abort?: "cancel" | "detach" | undefined;
  /** The options of a submit, from the `body` that was given to sendMessage. */
  readonly options?: ((body: object) => Record<string, unknown>) | undefined;
}

type Sending<M extends UIMessage> = Parameters<ChatTransport<M>["sendMessages"]>[0];

/** A transport for `useChat({ transport })`. Its chat's id must be an id on the wire: letters, digits, `_` and `-`. One
 * transport serves any number of chats; make it once, outside of components. */
export class HoldfastTransport<M extends UIMessage = UIMessage> implements ChatTransport<M> {
  /** Reconnecting tells the answer from its beginning; the AI SDK resets the message first. */
  readonly resumeStreamIsReplay = true;
  readonly #options: HoldfastTransportOptions;
  /** The server's id of a message that `useChat` knows by another. */
  readonly #renamed = new Bounded<string, string>(REMEMBERED_MAX);
  /** Messages that the server never took. */
  readonly #untaken = new Bounded<string, true>(REMEMBERED_MAX);
  /** Chats that are being found again right now. */
  readonly #resuming = new Set<string>();

  constructor(options: HoldfastTransportOptions) {
    this.#options = options;
  }

  /** Submits the last message, or has its answer made once more. Resolves at once; what goes wrong is told in the stream.
   * Rejects for what cannot be asked: no id of a chat, no message of the person's at the end, files. */
  async sendMessages(given: Sending<M>): Promise<ReadableStream<UIMessageChunk>> {
    const { chatId, messages, abortSignal } = given;
    if (!ID.test(chatId))
      throw new Error(`A chat's id has 1 to 64 of A-Z a-z 0-9 _ -, not ${JSON.stringify(chatId)}.`);
    const asked = messages.at(-1);
    if (asked?.role !== "user") throw new Error("The last message must be the person's.");
    if (asked.parts.some((part) => part.type === "file"))
      throw new Error("Files cannot be sent; leave them out of the message.");
    const { client } = this.#options;
    leftOut(client).delete(chatId);
    const submission = this.#submission(given, asked);
    const answer = client.submit(submission);
    const untaken = () => {
      this.#untaken.set(answer.requestId, true);
      if (submission.text !== undefined) this.#untaken.set(asked.id, true);
    };
    return this.#stream(answer, abortSignal, { untaken });
  }

  /** The running answer of the chat from its start, or null. Rejects with CommandError. */
  async reconnectToStream({
    chatId,
    abortSignal,
  }: {
    chatId: string;
    abortSignal?: AbortSignal;
  }): Promise<ReadableStream<UIMessageChunk> | null> {
    if (!ID.test(chatId)) return null;
    this.#resuming.add(chatId);
    try {
      const requestId = leftOut(this.#options.client).get(chatId) ?? (await this.#running(chatId));
      await Promise.resolve(); // an abort in the turn of this call is one before there was a stream
      if (requestId === null || abortSignal?.aborted) return null;
      const answer = this.#options.client.answer(requestId);
      return this.#stream(answer, abortSignal, { resumed: chatId });
    } finally {
      this.#resuming.delete(chatId);
    }
  }

  #submission({ chatId, messages, trigger, messageId, body }: Sending<M>, asked: M): SubmissionInput {
    const { agent, options } = this.#options;
    const common: SubmissionInput = {
      chat_id: chatId,
      ...(agent !== undefined && { agent }),
      ...(options !== undefined && { options: options(body ?? {}) }),
    };
    const taken = !this.#untaken.delete(asked.id);
    if (trigger === "regenerate-message" && taken) return { ...common, parent_id: this.#idOf(asked) };
    // The AI SDK keeps the id of an edited message; here it is a new one beside the old.
    const isNew = taken && messageId === undefined && ID.test(asked.id);
    const id = isNew ? asked.id : newId();
    if (!isNew) this.#renamed.set(asked.id, id);
    const parent = messages.slice(0, -1).findLast((message) => this.#isThere(message));
    return {
      ...common,
      text: textOf(asked),
      message_id: id,
      ...(parent === undefined ? { root: true } : { parent_id: this.#idOf(parent) }),
    };
  }

  #idOf(message: M): string {
    return this.#renamed.get(message.id) ?? message.id;
  }

  /** Whether the server has the message, as far as it is known here. */
  #isThere(message: M): boolean {
    if (this.#untaken.get(message.id) !== undefined) return false;
    if (message.role === "user") return true;
    const { requestId } = (message.metadata ?? {}) as Partial<MessageMetadata>;
    return message.role === "assistant" && requestId === message.id;
  }

  async #running(chatId: string): Promise<string | null> {
    const { client } = this.#options;
    const { requests } = await client.call("list_requests", { chat_id: chatId, active: true, limit: 1 });
    const waiting = client.outbox.get().find(({ submission }) => submission.chat_id === chatId);
    return requests[0]?.request_id ?? waiting?.requestId ?? null;
  }

  #stream(
    answer: Answer,
    signal: AbortSignal | undefined,
    { resumed, untaken }: { readonly resumed?: string; readonly untaken?: () => void },
  ): ReadableStream<UIMessageChunk> {
    const { client, abort: meaning } = this.#options;
    const resuming = this.#resuming;
    const teller = new ChunkTeller(answer.requestId);
    let leave = () => {};
    const end = async () => {
      await client.cancel(answer.requestId).catch(() => undefined); // it had ended, or is gone
      if (untaken !== undefined) await answer.ended.catch(untaken); // it was taken back before it was sent
    };
    return new ReadableStream<UIMessageChunk>({
      start: (controller) => {
        const release = answer.hold();
        const unsubscribe = answer.state.subscribe(tell);
        signal?.addEventListener("abort", abort, { once: true });
        leave = () => {
          release();
          unsubscribe();
          signal?.removeEventListener("abort", abort);
        };
        if (signal?.aborted) abort();
        else tell();

        function tell() {
          const state = answer.state.get();
          for (const chunk of teller.tell(state)) controller.enqueue(chunk);
          if (!teller.ended) return;
          leave();
          controller.close();
          if (state.chatId !== null) leftOut(client).delete(state.chatId);
          if (state.delivery !== "refused") return;
          untaken?.();
          void client.withdraw(answer.requestId); // who asks again asks anew
        }

        function abort() {
          leave();
          controller.enqueue({ type: "abort" });
          controller.close();
          if (meaning === "detach") return;
          // Resuming what is resumed already aborts the stream before it; that is no wish to end the request.
          queueMicrotask(() => {
            if (resumed === undefined || !resuming.has(resumed)) void end();
          });
        }
      },
      cancel: () => {
        leave();
      },
    });
  }
}

/** The text of a UI message: its text parts, one after another. */
export function textOf(message: UIMessage): string {
  return message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

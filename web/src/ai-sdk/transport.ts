/** The AI SDK's ChatTransport over our socket: `useChat` that survives what its own transports do not.

A lost connection never reaches `useChat`: the client reconnects and goes on from its cursor while the stream stays open.
After a reload `resume: true` finds the chat's running request and tells it from its start, which `useChat` folds into the
message it had; no byte twice, none lost. */
import type { Answer, Client, SubmissionInput } from "@sdk";
import type { ChatTransport, UIMessage, UIMessageChunk } from "ai";
import { ChunkTeller } from "./chunks.ts";

/** What may be an id on the wire. */
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** How many edited messages' real ids are remembered; the oldest is forgotten first. */
const RENAMED_MAX = 200;

export interface HoldfastTransportOptions {
  /** A client that its owner has started, and closes. */
  readonly client: Client;
  /** The agent to ask; otherwise the chat's own, or the server's default. */
  readonly agent?: string;
  /** What `stop()`, and whatever else aborts, means: end the request, or only stop reading it. */
  readonly abort?: "cancel" | "detach";
  /** The options of a submit, from the `body` that was given to sendMessage. */
  readonly options?: (body: object) => Record<string, unknown>;
}

/** A transport for `useChat({ transport })`. Its chat's id must be an id on the wire: letters, digits, `_` and `-`. */
export class HoldfastTransport<M extends UIMessage = UIMessage> implements ChatTransport<M> {
  /** Reconnecting tells the answer from its beginning; the AI SDK resets the message first. */
  readonly resumeStreamIsReplay = true;
  readonly #options: HoldfastTransportOptions;
  readonly #renamed = new Map<string, string>();

  constructor(options: HoldfastTransportOptions) {
    this.#options = options;
  }

  /** Submits the last message, or has its answer made once more. Resolves at once; what goes wrong is told in the stream. */
  async sendMessages(
    given: Parameters<ChatTransport<M>["sendMessages"]>[0],
  ): Promise<ReadableStream<UIMessageChunk>> {
    const { chatId, messages, trigger, messageId, abortSignal, body } = given;
    if (!ID.test(chatId))
      throw new Error(`A chat's id has 1 to 64 of A-Z a-z 0-9 _ -, not ${JSON.stringify(chatId)}.`);
    const asked = messages.at(-1);
    if (asked?.role !== "user") throw new Error("The last message must be the person's.");
    const { agent } = this.#options;
    const submission: SubmissionInput = {
      chat_id: chatId,
      ...(agent !== undefined && { agent }),
      ...(this.#options.options !== undefined && { options: this.#options.options(body ?? {}) }),
    };
    const known = this.#renamed.get(asked.id) ?? asked.id;
    if (trigger === "regenerate-message")
      return this.#stream(this.#options.client.submit({ ...submission, parent_id: known }), abortSignal);
    const parent = messages.at(-2);
    const edited = messageId !== undefined; // the AI SDK keeps the id of an edited message; here it is a new one
    const answer = this.#options.client.submit({
      ...submission,
      text: textOf(asked),
      ...(parent !== undefined && { parent_id: this.#renamed.get(parent.id) ?? parent.id }),
      ...(!edited && ID.test(asked.id) && { message_id: asked.id }),
    });
    if (edited || !ID.test(asked.id)) this.#rename(asked.id, answer);
    return this.#stream(answer, abortSignal);
  }

  /** The running answer of the chat from its start, or null. Rejects with CommandError. */
  async reconnectToStream({ chatId }: { chatId: string }): Promise<ReadableStream<UIMessageChunk> | null> {
    if (!ID.test(chatId)) return null;
    const { client } = this.#options;
    const { requests } = await client.call("list_requests", { chat_id: chatId, active: true, limit: 1 });
    const running = requests[0];
    return running === undefined ? null : this.#stream(client.answer(running.request_id), undefined);
  }

  #stream(answer: Answer, signal: AbortSignal | undefined): ReadableStream<UIMessageChunk> {
    const teller = new ChunkTeller(answer.requestId);
    let leave = () => {};
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
        const { client, abort: meaning } = this.#options;
        function tell() {
          for (const chunk of teller.tell(answer.state.get())) controller.enqueue(chunk);
          if (!teller.ended) return;
          leave();
          controller.close();
        }
        function abort() {
          leave();
          if (meaning !== "detach") client.cancel(answer.requestId).catch(() => undefined); // it had ended, or is gone
          controller.enqueue({ type: "abort" });
          controller.close();
        }
        if (signal?.aborted) abort();
        else tell();
      },
      cancel: () => {
        leave();
      },
    });
  }

  /** Remembers under which id the server has a message, once it says so. */
  #rename(id: string, answer: Answer): void {
    const stop = answer.state.subscribe(look);
    const renamed = this.#renamed;
    function look() {
      const { messageId, refusal } = answer.state.get();
      if (messageId !== null) {
        renamed.delete(id);
        renamed.set(id, messageId);
        if (renamed.size > RENAMED_MAX) renamed.delete(renamed.keys().next().value!);
      }
      if (messageId !== null || refusal !== null) stop();
    }
    look();
  }
}

/** The text of a UI message: its text parts, one after another. */
export function textOf(message: UIMessage): string {
  return message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

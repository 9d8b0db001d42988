/** What the person can do in one chat: ask, ask otherwise, answer again, stop, decide, delete. */
import { type Answer, type Client, newId, type Submission } from "@sdk";
import type { Chats } from "./chats.ts";
import type { Drafts } from "./drafts.ts";
import { sentenceOf } from "./history.ts";
import type { PerChat } from "./kept.ts";
import { asks } from "./sent.ts";
import type { Thread } from "./thread.ts";
import type { Mode, SendOptions, ThreadActions, ToastInput } from "./types.ts";

/** What the actions work on. */
export interface ActionsOn {
  readonly client: Client;
  readonly chats: Chats;
  readonly drafts: Drafts;
  readonly modes: PerChat<Mode>;
  say(toast: ToastInput): void;
  open(path: string): void;
  thread(chatId: string): Thread;
}

/** The actions of one chat. They need not be bound. */
export function actionsOf(on: ActionsOn, chatId: string): ThreadActions {
  const { client, drafts, chats } = on;
  const thread = () => on.thread(chatId);

  const submit = (submission: Submission, options: SendOptions): Answer => {
    if (options.mode) on.modes.set(chatId, options.mode);
    // A chat that exists has its agent; one that does not gets it with its first message.
    const agent = options.agent ?? (client.feed.chats.get().has(chatId) ? null : chats.agentOf(chatId));
    const whole: Submission = {
      ...submission,
      request_id: newId(),
      chat_id: chatId,
      ...(agent ? { agent } : {}),
      ...(options.options ? { options: options.options } : {}),
    };
    const at = client.now();
    const shown = thread();
    const answer = client.submit(whole);
    shown.show(whole, answer, at);
    return answer;
  };

  const ask = (text: string, parentId: string | null, options: SendOptions): Answer =>
    submit({ text, message_id: newId(), ...(parentId ? { parent_id: parentId } : {}) }, options);

  const askFirst = (text: string): Answer => submit({ text, message_id: newId(), root: true }, {});

  const regenerate = (answerId: string, options: SendOptions = {}): Answer | null => {
    const message = thread().message(answerId);
    if (message?.role !== "assistant" || message.parentId === null) return null;
    return submit({ parent_id: message.parentId }, options);
  };

  const told = async (trouble: string, run: () => Promise<unknown>): Promise<boolean> => {
    try {
      await run();
      return true;
    } catch (error) {
      on.say({ text: `${trouble}: ${sentenceOf(error)}`, tone: "danger" });
      return false;
    }
  };

  /** Take a submission back that was not sent: its text, "" if it had none; null if it is too late. */
  const withdraw = async (requestId: string): Promise<string | null> => {
    const sent = thread().sent(requestId);
    if (!(await client.withdraw(requestId))) return null;
    thread().deleted(requestId);
    return sent && asks(sent.submission) ? sent.submission.text : "";
  };

  /** What was typed goes back to where it was typed. */
  const retype = (text: string): void => {
    const typed = drafts.of(chatId).get();
    if (text) drafts.set(chatId, typed ? `${text}\n\n${typed}` : text);
  };

  return {
    send(text, options = {}) {
      const answer = ask(text, thread().end, options);
      drafts.set(chatId, "");
      return answer;
    },

    edit(messageId, text) {
      const message = thread().message(messageId);
      if (message?.role !== "user") return null;
      return message.parentId === null ? askFirst(text) : ask(text, message.parentId, {});
    },

    regenerate,

    retry(answerId) {
      const message = thread().message(answerId);
      if (!message?.answer || message.refusal === "") return regenerate(answerId);
      client.retry(answerId);
      return message.answer;
    },

    async stop(answerId) {
      const unsent = thread().message(answerId)?.unsent ?? false;
      await told("It could not be stopped", async () => {
        const text = unsent ? await withdraw(answerId) : null;
        if (text === null) await client.cancel(answerId);
        else retype(text);
      });
    },

    decide: (answerId, waitId, digest, decision) => client.decide(answerId, waitId, digest, decision),

    async removeMessage(messageId) {
      const message = thread().message(messageId);
      if (!message) return;
      const undo = thread().hide(messageId);
      const done = await told("The message could not be deleted", async () => {
        const requestId = thread().sentBy(messageId)?.requestId ?? messageId;
        if (message.unsent && (await withdraw(requestId)) !== null) return;
        await client.call("delete_message", { chat_id: chatId, message_id: messageId });
      });
      if (done) thread().deleted(messageId);
      else undo();
    },

    async takeBack(messageId) {
      const sent = thread().sentBy(messageId);
      const text = sent ? await withdraw(sent.requestId) : null;
      if (text === null) return false;
      retype(text);
      return true;
    },

    quote(text) {
      const quoted = text
        .trim()
        .split("\n")
        .map((line) => `> ${line}`)
        .join("\n");
      const typed = drafts.of(chatId).get();
      drafts.set(chatId, `${typed ? `${typed.trimEnd()}\n\n` : ""}${quoted}\n\n`);
    },
  };
}

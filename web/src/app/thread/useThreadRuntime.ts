/**
 * Joins the chat runtime to the app's model: the model owns the messages, the runtime shows them to the primitives and
 * turns what the primitives ask for into the model's actions.
 *
 * `thread.isRunning` stays false: the runtime would lock editing, regenerating and walking branches while anything
 * runs, and here several answers may run. Each message says by itself whether it runs.
 */
import type { ThreadMessage } from "@app/model/index.ts";
import {
  type AppendMessage,
  type AssistantRuntime,
  type ThreadMessage as RuntimeMessage,
  useAuiState,
  useExternalStoreRuntime,
} from "@assistant-ui/react";
import { useMemo } from "react";
import { readStandIn, toRepository } from "./outline.ts";

/** What the primitives may ask for. */
export interface RuntimeIntents {
  /** A new message at the end of the thread. */
  send(text: string): void;
  /** Another version of a message of the person's. */
  edit(messageId: string, text: string): void;
  /** Another answer beside this one. */
  regenerate(answerId: string): void;
  /** Show the sibling that many steps before or after. */
  walk(messageId: string, step: number): void;
  /** Stop what runs at the end of the thread. */
  stop(): void;
  remove(messageId: string): void;
}

/** What of a thread the runtime carries along, so that rows and runtime are always of one state. */
export interface ThreadExtras {
  readonly messages: readonly ThreadMessage[];
  /** Ids that the runtime knows. */
  readonly known: ReadonlySet<string>;
}

/** The text of a message that the runtime hands over. */
export function textOf(message: Pick<AppendMessage, "content">): string {
  return message.content.map((part) => (part.type === "text" ? part.text : "")).join("");
}

/** The step to the stand-in at which a branch of the runtime ends, if it ends at one. */
function walkedTo(
  branch: readonly Pick<RuntimeMessage, "id">[],
  messages: readonly ThreadMessage[],
): { messageId: string; step: number } | null {
  const end = branch.at(-1);
  const target = end && readStandIn(end.id);
  if (!target) return null;
  const message = messages.find((one) => one.id === target.messageId);
  if (!message || message.siblings.index === target.index) return null;
  return { messageId: message.id, step: target.index - message.siblings.index };
}

/** What the runtime is fed with. */
export interface RuntimeFeed {
  readonly messages: readonly ThreadMessage[];
  /** The indexes of the messages that the runtime is told about. */
  readonly indexes: readonly number[];
  readonly loading: boolean;
  /** Whether the composer must wait: its text is kept, it just can not be sent now. */
  readonly sendDisabled: boolean;
}

/** The runtime of one thread, following the feed. `intents` must keep its identity. */
export function useThreadRuntime(feed: RuntimeFeed, intents: RuntimeIntents): AssistantRuntime {
  const { messages, indexes, loading, sendDisabled } = feed;
  const repository = useMemo(() => toRepository(messages, indexes), [messages, indexes]);
  const extras = useMemo<ThreadExtras>(
    () => ({ messages, known: new Set(indexes.map((index) => messages[index]!.id)) }),
    [messages, indexes],
  );
  const store = useMemo(
    () => ({
      messageRepository: repository,
      isRunning: false,
      isLoading: loading,
      isSendDisabled: sendDisabled,
      extras,
      onNew: async (message: AppendMessage) => intents.send(textOf(message)),
      onEdit: async (message: AppendMessage) => {
        if (message.sourceId) intents.edit(message.sourceId, textOf(message));
      },
      onReload: async (_parentId: string | null, config: { sourceId: string | null }) => {
        if (config.sourceId) intents.regenerate(config.sourceId);
      },
      onCancel: async () => intents.stop(),
      onDelete: async (messageId: string) => intents.remove(messageId),
      // The runtime announces another branch by the list that it would show; the model then shows it.
      setMessages: (branch: readonly RuntimeMessage[]) => {
        const walked = walkedTo(branch, extras.messages);
        if (walked) intents.walk(walked.messageId, walked.step);
      },
    }),
    [repository, extras, loading, sendDisabled, intents],
  );
  return useExternalStoreRuntime(store);
}

const NOTHING: ThreadExtras = { messages: [], known: new Set() };

/** The thread as the runtime shows it now: rows drawn from it never disagree with the primitives. */
export function useThreadExtras(): ThreadExtras {
  return useAuiState((state) => (state.thread.extras as ThreadExtras | undefined) ?? NOTHING);
}

/**
 * What the chat runtime knows of a thread: ids, order, roles, statuses, how many siblings, never streamed text.
 *
 * An answer is drawn by components that follow it by themselves. Were its text in the runtime, every delta would walk
 * the whole thread; so an answer's content is one mark that says that there is text, and a row per tool call. A
 * message's siblings are stand-ins with ids of their own: the runtime counts them, and asking it for one names the
 * message and the step that the model is asked for.
 */
import type { ThreadMessage } from "@app/model/index.ts";
import {
  type ExportedMessageRepository,
  fromThreadMessageLike,
  type MessageStatus,
  type ThreadMessage as RuntimeMessage,
} from "@assistant-ui/react";

/** Stands for an answer's text in the runtime. */
const TEXT_MARK = "…";
/** Siblings further away than this get no stand-in: nobody walks hundreds of versions one by one in a runtime. */
const STAND_INS_MAX = 64;

const STAND_IN = "sibling";
/** Not part of any id on the wire, so a stand-in can never be mistaken for a message. */
const SEPARATOR = "|";

/** A runtime status for a status of the wire. */
function runtimeStatus(status: ThreadMessage["status"]): MessageStatus {
  switch (status) {
    case "waiting":
      return { type: "requires-action", reason: "interrupt" };
    case "unsent":
    case "new":
    case "queued":
    case "running":
      return { type: "running" };
    case "cancelled":
      return { type: "incomplete", reason: "cancelled" };
    case "failed":
    case "timed_out":
    case "interrupted":
      return { type: "incomplete", reason: "error" };
    default:
      return { type: "complete", reason: "stop" };
  }
}

const outlines = new WeakMap<ThreadMessage, RuntimeMessage>();

/** A message as the runtime keeps it; the same object for the same message. */
function outlineOf(message: ThreadMessage): RuntimeMessage {
  const kept = outlines.get(message);
  if (kept) return kept;
  const made =
    message.role === "user"
      ? fromThreadMessageLike(
          {
            role: "user",
            id: message.id,
            createdAt: new Date(message.createdAt),
            content: [{ type: "text", text: message.text }],
          },
          message.id,
          runtimeStatus("completed"),
        )
      : fromThreadMessageLike(
          {
            role: "assistant",
            id: message.id,
            createdAt: new Date(message.createdAt),
            content: answerOutline(message),
            status: runtimeStatus(message.status),
            metadata: { custom: { requestId: message.answer?.requestId ?? message.id } },
          },
          message.id,
          runtimeStatus(message.status),
        );
  outlines.set(message, made);
  return made;
}

function answerOutline(message: ThreadMessage) {
  const parts = message.parts ?? message.answer?.shape.get().parts ?? [];
  return [
    { type: "text" as const, text: TEXT_MARK },
    ...parts.flatMap((part, index) =>
      part.kind === "tool"
        ? [
            {
              type: "tool-call" as const,
              toolCallId: `${message.id}.${index}`,
              toolName: part.name,
              args: {},
            },
          ]
        : [],
    ),
  ];
}

/** The id of the stand-in for the sibling at `index` of a visible message. */
function standInId(messageId: string, index: number): string {
  return [STAND_IN, messageId, index].join(SEPARATOR);
}

/** Which message a stand-in is a sibling of and its place among them; null for an id that is none. */
export function readStandIn(id: string): { messageId: string; index: number } | null {
  const [word, messageId, index] = id.split(SEPARATOR);
  if (word !== STAND_IN || !messageId || index === undefined) return null;
  return { messageId, index: Number(index) };
}

/** The messages at `indexes` as a chain, each with stand-ins for its siblings, for the runtime to adopt. */
export function toRepository(
  messages: readonly ThreadMessage[],
  indexes: readonly number[],
): ExportedMessageRepository {
  const rows: ExportedMessageRepository["messages"] = [];
  let parentId: string | null = null;
  for (const at of indexes) {
    const message = messages[at]!;
    const { index, count } = message.siblings;
    const last = Math.min(count, STAND_INS_MAX);
    for (let place = 0; place < last; place += 1) {
      const self = place === Math.min(index, last - 1);
      rows.push({ message: self ? outlineOf(message) : standIn(message, place), parentId });
    }
    if (count <= 0) rows.push({ message: outlineOf(message), parentId });
    parentId = message.id;
  }
  return { headId: parentId, messages: rows };
}

function standIn(message: ThreadMessage, index: number): RuntimeMessage {
  const id = standInId(message.id, index);
  return fromThreadMessageLike(
    {
      role: message.role,
      id,
      createdAt: new Date(message.createdAt),
      content: [{ type: "text", text: TEXT_MARK }],
    },
    id,
    runtimeStatus("completed"),
  );
}

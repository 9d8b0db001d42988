/** Messages for tests. */
import type { ThreadMessage } from "@app/model/index.ts";

/** A message that says its id; users and assistants alternate by `index`. */
export function messageAt(index: number, over: Partial<ThreadMessage> = {}): ThreadMessage {
  const user = index % 2 === 0;
  return {
    id: `m${index}`,
    parentId: index === 0 ? null : `m${index - 1}`,
    role: user ? "user" : "assistant",
    createdAt: 1_760_000_000_000 + index,
    siblings: { index: 0, count: 1 },
    text: user ? `text of m${index}` : "",
    answer: null,
    parts: user ? null : [{ kind: "text", text: "An answer.", chunks: ["An answer."] } as never],
    told: null,
    status: user ? null : "completed",
    unsent: false,
    refusal: "",
    damaged: false,
    ...over,
  };
}

/** That many messages. */
export function messagesUpTo(count: number): ThreadMessage[] {
  return Array.from({ length: count }, (_, index) => messageAt(index));
}

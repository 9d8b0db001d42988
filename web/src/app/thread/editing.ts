/** Begins the edit of a message from outside of its row. */
import type { useAui } from "@assistant-ui/react";

/** Opens the person's last message for editing; false if there is none that can be edited. */
export function editLastMessage(aui: ReturnType<typeof useAui>): boolean {
  const { messages, extras } = aui.thread.getState();
  const last = messages.findLast((message) => message.role === "user");
  const all =
    (extras as { messages?: readonly { id: string; unsent: boolean }[] } | undefined)?.messages ?? [];
  if (!last || last.composer.isEditing || all.find((one) => one.id === last.id)?.unsent) return false;
  aui.thread.message({ id: last.id }).composer().beginEdit();
  return true;
}

/** What the browser's tab says: how many chats have news, whether something runs, and the chat that is on screen. */
import type { ChatItem } from "./types.ts";

const PAGE_NAME = "Holdfast";

/** `(2) ● Title — Holdfast`: the chats that wait, failed or are unread; ● while anything runs. */
export function tabTitle(items: Iterable<ChatItem>, chatId: string | null): string {
  let news = 0;
  let runs = false;
  let title = "";
  for (const item of items) {
    if (item.waiting > 0 || item.unread) news += 1;
    runs ||= item.running > item.waiting;
    if (item.chatId === chatId) title = item.title;
  }
  const name = title ? `${title} — ${PAGE_NAME}` : PAGE_NAME;
  return `${news > 0 ? `(${news}) ` : ""}${runs ? "● " : ""}${name}`;
}

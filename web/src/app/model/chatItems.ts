/** From rows to what a chat's line shows: which badge, what counts as unread, and chats that are not on the server yet. */
import type { ChatRow, OutboxEntry, RequestRow } from "@sdk";
import { isFailure, isLive } from "./status.ts";
import type { ChatBadge, ChatItem } from "./types.ts";

/** Characters of the question that stand for the title of a chat that has none yet. */
const TITLE_CHARS = 80;

/** What is under way in one chat. */
export interface ChatTraffic {
  running: number;
  waiting: number;
  unsent: number;
  /** For a chat that the server has not told of: the first question's line, and its time. */
  title: string;
  at: number;
}

/** What is under way, chat by chat. Costs as much as there are requests and entries. */
export function trafficOf(
  requests: Iterable<RequestRow>,
  outbox: readonly OutboxEntry[],
): ReadonlyMap<string, ChatTraffic> {
  const all = new Map<string, ChatTraffic>();
  const of = (chatId: string, title: string, at: number) => {
    let traffic = all.get(chatId);
    if (!traffic) {
      traffic = { running: 0, waiting: 0, unsent: 0, title, at };
      all.set(chatId, traffic);
    }
    return traffic;
  };
  for (const row of requests) {
    if (row.chat_id === null || row.deleted || !isLive(row.status)) continue;
    const traffic = of(row.chat_id, row.title, row.created_at);
    traffic.running += 1;
    if (row.status === "waiting") traffic.waiting += 1;
  }
  for (const entry of outbox) {
    const { chat_id: chatId, text } = entry.submission;
    if (chatId) of(chatId, firstLine(text ?? ""), entry.at).unsent += 1;
  }
  return all;
}

/** A title as it may be shown between other texts: without characters that control, break or turn them round. */
export function plainTitle(title: string): string {
  return title.replace(UNSEEN, " ").trim();
}

/** Control characters, line breaks, and those that set the direction of what follows. */
const UNSEEN = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]+/gu;

/** Whether something ended in the chat after the person last saw it. What the person stopped needs no reading. */
export function isUnread(row: ChatRow): boolean {
  if (row.last_ended_at > 0) return row.last_ended_at > row.seen_at && row.last_status !== "cancelled";
  return row.updated_at > row.seen_at;
}

/** A chat's line. `looking`: the person looks at it now, so that nothing in it is unread. */
export function chatItem(
  row: ChatRow,
  traffic: ChatTraffic | undefined,
  draft: boolean,
  looking: boolean,
): ChatItem {
  const unread = !looking && isUnread(row);
  return {
    chatId: row.chat_id,
    title: plainTitle(row.title),
    agent: row.agent,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    seenAt: row.seen_at,
    badge: badgeOf(traffic, unread, row),
    running: traffic?.running ?? 0,
    waiting: traffic?.waiting ?? 0,
    unread,
    archived: row.archived,
    draft,
  };
}

/** The line of a chat that the server has not told of: its first message is unsent, or was accepted a moment ago. */
export function newChatItem(
  chatId: string,
  traffic: ChatTraffic,
  agent: string | null,
  draft: boolean,
): ChatItem {
  return {
    chatId,
    title: plainTitle(traffic.title),
    agent,
    createdAt: traffic.at,
    updatedAt: traffic.at,
    seenAt: traffic.at,
    badge: traffic.waiting > 0 ? "waiting" : traffic.running > 0 ? "running" : "unsent",
    running: traffic.running,
    waiting: traffic.waiting,
    unread: false,
    archived: false,
    draft,
  };
}

/** The newest first; equal times by id, as the server has it. */
export function byNewest(a: ChatItem, b: ChatItem): number {
  return b.updatedAt - a.updatedAt || (a.chatId < b.chatId ? 1 : -1);
}

function badgeOf(traffic: ChatTraffic | undefined, unread: boolean, row: ChatRow): ChatBadge {
  if (traffic?.waiting) return "waiting";
  if (traffic?.running) return "running";
  if (traffic?.unsent) return "unsent";
  if (!unread) return null;
  return isFailure(row.last_status ?? "") ? "failed" : "unread";
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0]!.slice(0, TITLE_CHARS);
}

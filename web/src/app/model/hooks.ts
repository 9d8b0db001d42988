/** The model's stores as React reads them. */
import type { AgentRow, ConnectionState } from "@sdk";
import { useCallback, useEffect, useMemo } from "react";
import { useReadable } from "../../react/index.tsx";
import { Search } from "./lookups.ts";
import { useModel } from "./provider.tsx";
import { tabTitle } from "./tabTitle.ts";
import type {
  ChatItem,
  ChatList,
  Inbox,
  Mode,
  Preferences,
  ScrollMemory,
  ScrollPosition,
  SearchState,
  ThreadState,
} from "./types.ts";

/** How long after the last key a search begins. */
const SEARCH_AFTER_MS = 150;

/** Where the connection is. */
export function useConnection(): ConnectionState {
  return useReadable(useModel().client.connection);
}

/** The chats, or those that are archived; the first page is loaded when first asked for. */
export function useChatList({ archived = false }: { archived?: boolean } = {}): ChatList {
  const { chats } = useModel();
  const which = archived ? "archived" : "active";
  useEffect(() => chats.want(which), [chats, which]);
  return useReadable(chats.lists[which]);
}

/** One chat's line; null while nothing is known of it. */
export function useChat(chatId: string): ChatItem | null {
  return useReadable(useModel().chats.items).get(chatId) ?? null;
}

/** Search titles and messages, a moment after the last key. */
export function useSearch(query: string): SearchState {
  const { client, around } = useModel();
  const search = useMemo(() => new Search(client), [client]);
  useEffect(() => {
    const stopWaiting = around.after(() => void search.look(query), query.trim() ? SEARCH_AFTER_MS : 0);
    return () => {
      stopWaiting();
      search.stop();
    };
  }, [search, around, query]);
  return useReadable(search.view);
}

/** The chat's thread; it counts as on screen, and its answers are followed, while this is mounted. */
export function useThread(chatId: string): ThreadState {
  const { threads, presence, chats } = useModel();
  const thread = useMemo(() => threads.of(chatId), [threads, chatId]);
  useEffect(() => {
    const close = thread.open();
    const leave = presence.show(chatId);
    return () => {
      leave();
      close();
    };
  }, [thread, presence, chatId]);
  const view = useReadable(thread.view);
  const item = useReadable(chats.items).get(chatId);
  useReadable(chats.agentsChosen);
  const agent = chats.agentOf(chatId);
  const title = item?.title ?? "";
  return useMemo(() => ({ ...view, agent, title }), [view, agent, title]);
}

/** What finished, failed or needs the person. */
export function useInbox(): Inbox {
  return useReadable(useModel().inbox.view);
}

/** What is typed in the chat and not sent. */
export function useDraft(chatId: string): readonly [string, (text: string) => void] {
  const { drafts } = useModel();
  const text = useReadable(useMemo(() => drafts.of(chatId), [drafts, chatId]));
  const setText = useCallback((next: string) => drafts.set(chatId, next), [drafts, chatId]);
  return [text, setText];
}

/** Where the chat's thread was left. `Place` must be what JSON can say. */
export function useScrollMemory<Place = ScrollPosition>(chatId: string): ScrollMemory<Place> {
  const { places } = useModel();
  return useMemo(
    () => ({
      get: () => (places.get(chatId) as Place | undefined) ?? null,
      set: (place) => places.set(chatId, place, false),
    }),
    [places, chatId],
  );
}

/** What the person chose in this browser. */
export function usePreferences(): Preferences {
  return useReadable(useModel().preferences.view);
}

/** Whether the chat's composer waits for answers; remembered, else as the preferences say. */
export function useChatMode(chatId: string): readonly [Mode, (mode: Mode) => void] {
  const { modes } = useModel();
  const { mode } = usePreferences();
  useReadable(modes.changed);
  const setMode = useCallback((next: Mode) => modes.set(chatId, next), [modes, chatId]);
  return [modes.get(chatId) ?? mode, setMode];
}

/** Which agents exist. */
export function useAgents(): readonly AgentRow[] {
  return useReadable(useModel().agents.rows);
}

/** Keep the tab's title as the chats are. Mount it once; the former title comes back with its end. */
export function useTabTitle(): void {
  const { chats, presence } = useModel();
  const items = useReadable(chats.items);
  const shown = useReadable(presence.shown);
  const title = tabTitle(items.values(), shown);
  useEffect(() => {
    const before = document.title;
    return () => {
      document.title = before;
    };
  }, []);
  useEffect(() => {
    document.title = title;
  }, [title]);
}

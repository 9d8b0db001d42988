/** The app's state and the hooks that read it: all that components use. */

export { useReadable } from "../../react/index.tsx";
export { UNDO_MS } from "./chats.ts";
export {
  useAgents,
  useChat,
  useChatList,
  useChatMode,
  useConnection,
  useDraft,
  useInbox,
  usePreferences,
  useScrollMemory,
  useSearch,
  useTabTitle,
  useThread,
} from "./hooks.ts";
export { chatActions, ModelProvider, signOut, threadActions, useClient } from "./provider.tsx";
export type * from "./types.ts";

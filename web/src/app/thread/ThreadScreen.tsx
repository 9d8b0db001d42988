/** One chat on screen: its head, its messages, its composer. */
import { chatActions, useThread } from "@app/model/index.ts";
import { useChatIdentity } from "./chatIdentity.ts";
import { ThreadView } from "./ThreadView.tsx";
import { useTarget } from "./target.ts";

/**
 * The chat of the address; `null` is a new chat, whose id becomes the address with its first message. The screen is made
 * anew for another chat, and stays the same when a new chat gets its address.
 */
export function ThreadScreen({ chatId }: { chatId: string | null }) {
  const id = useChatIdentity(chatId, chatActions.newChatId);
  return <Loaded key={id} chatId={id} isNew={chatId === null} />;
}

function Loaded({ chatId, isNew }: { chatId: string; isNew: boolean }) {
  const thread = useThread(chatId);
  const target = useTarget(thread);
  // Made anew to begin at another place: as a thread does that was left there.
  return (
    <ThreadView key={target?.turn ?? 0} thread={thread} isNew={isNew} target={target?.messageId ?? null} />
  );
}

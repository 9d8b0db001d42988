/** A chat on the AI SDK's useChat, as somebody else's front end would have it; test_use_chat.py drives it through `window.chats`.

    ?server=127.0.0.1:1234&chat=c-1&chat=c-2   one component for each chat
    &abort=detach  &kept  &strict              stop() stops reading; the Chat is made outside of its component; StrictMode */
import { Chat, type UseChatHelpers, useChat } from "@ai-sdk/react";
import type { UIMessage } from "ai";
import { Client } from "holdfast-client";
import { HoldfastTransport, loadMessages } from "holdfast-client/ai-sdk";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

/** What a test takes hold of. */
interface Held extends UseChatHelpers<UIMessage> {
  /** Every status there was, each once in a row. */
  readonly seen: string[];
}

declare global {
  interface Window {
    chats: Record<string, Held>;
    client: Client;
    show: (on: boolean) => void;
  }
}

const query = new URLSearchParams(location.search);
const client = new Client({ url: `ws://${query.get("server")}/ws`, name: "use_chat" });
const transport = new HoldfastTransport({
  client,
  abort: query.get("abort") === "detach" ? "detach" : "cancel",
  ...(query.has("agent") && { agent: query.get("agent") ?? "" }),
});
const seen: Record<string, string[]> = {};
window.chats = {};
window.client = client;
client.start();

function Thread({ id, messages, chat }: { id: string; messages: UIMessage[]; chat: Chat<UIMessage> | null }) {
  const made = useChat(chat ? { chat, resume: true } : { id, messages, transport, resume: true });
  seen[id] ??= [];
  if (seen[id].at(-1) !== made.status) seen[id].push(made.status);
  window.chats[id] = { ...made, seen: seen[id] };
  return (
    <section id={id}>
      <p>{made.status}</p>
      <p>{made.error?.message}</p>
      {made.messages.map((message) => (
        <article key={message.id} className={message.role}>
          {message.parts.map((part) => (part.type === "text" ? part.text : "")).join("")}
        </article>
      ))}
    </section>
  );
}

const chats = query.getAll("chat");
const loaded = await Promise.all(
  chats.map(async (id) => {
    const messages = await loadMessages(client, id);
    return { id, messages, chat: query.has("kept") ? new Chat({ id, messages, transport }) : null };
  }),
);
const root = createRoot(document.getElementById("root")!);
window.show = (on) => {
  const threads = on ? loaded.map((each) => <Thread key={each.id} {...each} />) : null;
  root.render(query.has("strict") ? <StrictMode>{threads}</StrictMode> : threads);
};
window.show(true);

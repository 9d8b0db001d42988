/** Chats on the AI SDK's useChat, whichever major version of it the page is built with; test_use_chat_native.py drives them
    through `window.chats`, and `window.load` shows them anew without a reload.

    ?server=127.0.0.1:1234&chat=c-1&chat=c-2   one component for each chat
    &agent=demo  &own=true                     whom to ask; the Chat is made outside of its component */
import { Chat, type UseChatHelpers, useChat } from "@ai-sdk/react";
import type { ChatTransport, UIMessage } from "ai";
import { createRoot } from "react-dom/client";

declare global {
  interface Window {
    chats: Record<string, UseChatHelpers<UIMessage>>;
    load: () => Promise<void>;
    api: string;
  }
}

export const query = new URLSearchParams(location.search);
export const api = `http://${query.get("server")}/api/chat`;
export const body = query.has("agent") ? { agent: query.get("agent") } : {};

type Given = { id: string; messages: UIMessage[]; transport: ChatTransport<UIMessage> } | { chat: Chat<UIMessage> };

function Thread({ id, given }: { id: string; given: Given }) {
  const chat = useChat({ ...given, resume: true });
  window.chats[id] = chat;
  return (
    <section id={id}>
      <p>{chat.status}</p>
      <p>{chat.error?.message}</p>
      {chat.messages.map((message) => (
        <article key={message.id} className={message.role}>
          {message.parts.map((part) => (part.type === "text" ? part.text : "")).join("")}
        </article>
      ))}
    </section>
  );
}

/** Loads the chats that the address names and shows them over one transport. */
export async function show(transport: ChatTransport<UIMessage>): Promise<void> {
  const root = createRoot(document.getElementById("root")!);
  let round = 0;
  window.api = api;
  window.load = async () => {
    const loaded = await Promise.all(
      query.getAll("chat").map(async (id) => {
        const response = await fetch(`${api}/${id}/messages`);
        const given = { id, messages: (await response.json()) as UIMessage[], transport };
        return { id, given: query.has("own") ? { chat: new Chat(given) } : given };
      }),
    );
    round += 1;
    window.chats = {};
    root.render(loaded.map((each) => <Thread key={`${round} ${each.id}`} {...each} />));
  };
  await window.load();
}

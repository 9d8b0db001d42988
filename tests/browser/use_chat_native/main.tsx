/** A chat on the AI SDK's useChat with a transport of the AI SDK's own; test_use_chat_native.py drives it through `window.chats`.

    ?server=127.0.0.1:1234&chat=c-1&chat=c-2&over=sse   one component for each chat; over=ws: all on one socket
    &agent=demo  &abort=detach                          whom to ask; what stop() means over the socket */
import { type UseChatHelpers, useChat } from "@ai-sdk/react";
import { DefaultChatTransport, type UIMessage, WebSocketChatTransport } from "ai";
import { createRoot } from "react-dom/client";

declare global {
  interface Window {
    chats: Record<string, UseChatHelpers<UIMessage>>;
    api: string;
  }
}

const query = new URLSearchParams(location.search);
const api = `http://${query.get("server")}/api/chat`;
const body = query.has("agent") ? { agent: query.get("agent") } : {};
const detach = query.get("abort") === "detach" ? "?abort=detach" : "";
const transport =
  query.get("over") === "ws"
    ? new WebSocketChatTransport<UIMessage>({ url: `${api}/ws${detach}`, body })
    : new DefaultChatTransport<UIMessage>({ api, body: { ...body, aiSdk: 7 }, headers: { "x-ai-sdk": "7" } });
window.chats = {};
window.api = api;

function Thread({ id, messages }: { id: string; messages: UIMessage[] }) {
  const chat = useChat({ id, messages, transport, resume: true });
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

const loaded = await Promise.all(
  query.getAll("chat").map(async (id) => {
    const response = await fetch(`${api}/${id}/messages`);
    return { id, messages: (await response.json()) as UIMessage[] };
  }),
);
createRoot(document.getElementById("root")!).render(
  loaded.map((each) => <Thread key={each.id} {...each} />),
);

/** The page with version 7 of the AI SDK, over a transport of the AI SDK's own; test_use_chat_native.py drives it.

    ?over=sse              over HTTP; over=ws: all chats on one socket
    &abort=detach          what stop() means over the socket */
import { DefaultChatTransport, type UIMessage, WebSocketChatTransport } from "ai";
import { api, body, query, show } from "./thread";

const detach = query.get("abort") === "detach" ? "?abort=detach" : "";
await show(
  query.get("over") === "ws"
    ? new WebSocketChatTransport<UIMessage>({ url: `${api}/ws${detach}`, body })
    : new DefaultChatTransport<UIMessage>({ api, body: { ...body, aiSdk: 7 }, headers: { "x-ai-sdk": "7" } }),
);

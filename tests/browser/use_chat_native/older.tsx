/** The page with version 5 or 6 of the AI SDK: they have HTTP alone, and say no version. */
import { DefaultChatTransport, type UIMessage } from "ai";
import { api, body, show } from "./thread";

await show(new DefaultChatTransport<UIMessage>({ api, body }));

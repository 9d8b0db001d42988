/** Holdfast for programs on the AI SDK: a transport for `useChat`, and a chat's messages to begin with. */
export type { MessageMetadata } from "./chunks.ts";
export { loadMessages, MESSAGES_MAX, messageOf } from "./history.ts";
export { HoldfastTransport, type HoldfastTransportOptions, textOf } from "./transport.ts";

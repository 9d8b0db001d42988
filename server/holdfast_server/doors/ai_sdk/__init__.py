"""The AI SDK's chat transports: its UI message stream over server-sent events, and its own WebSocket protocol."""

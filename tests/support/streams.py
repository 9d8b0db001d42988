"""Every way of this server to stream an answer: the call that opens it, and what comes of it, as it comes.

async with AsyncExitStack() as stack:
    await ask(http, base)                                   # "asked" in "the-chat", whose answers the model holds
    streams = await open_all(stack, http, base)             # by name: pieces of text; those of TALKS are sockets
    await each_says(streams, "the last word before the hold")
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse

SSE = {"Accept": "text/event-stream"}
NDJSON = {"Accept": "application/x-ndjson"}
SAYS_S = 15.0  # a word comes within milliseconds; a busy machine gets far more

_MESSAGE = [{"role": "user", "content": "Hello"}]
_UI_MESSAGE = {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "Hello"}]}
_COMPLETION = {"model": "model", "messages": _MESSAGE, "stream": True}

Call = tuple[str, str, dict[str, Any] | None, dict[str, str]]

STREAMS: dict[str, Call] = {
    "post-sse": ("POST", "/v1/requests", {"text": "Hello"}, SSE),
    "post-ndjson": ("POST", "/v1/requests", {"text": "Hello"}, NDJSON),
    "events-sse": ("GET", "/v1/requests/asked/events", None, SSE),
    "events-ndjson": ("GET", "/v1/requests/asked/events", None, NDJSON),
    "responses": ("POST", "/v1/responses", {"model": "model", "input": "Hello", "stream": True}, {}),
    "responses-again": ("GET", "/v1/responses/resp_asked?stream=true", None, {}),
    "completions": ("POST", "/v1/chat/completions", _COMPLETION, {}),
    "completions-again": ("GET", "/v1/chat/completions/chatcmpl-asked?stream=true", None, {}),
    "ai-sdk": ("POST", "/api/chat", {"id": "c2", "messages": [_UI_MESSAGE], "trigger": "submit-message"}, {}),
    "ai-sdk-again": ("GET", "/api/chat/the-chat/stream", None, {}),
}
"""Method, path, body, headers. `again` and `events` are of the request that `ask` made."""

TALKS: dict[str, list[dict[str, Any]]] = {
    "/ws": [
        {"type": "hello", "ref": 0},
        {"type": "subscribe", "ref": 1, "request_id": "asked"},
    ],
    "/v1/responses": [{"type": "response.subscribe", "response_id": "resp_asked"}],
    "/api/chat/ws": [{"type": "resume", "requestId": "r1", "id": "the-chat", "headers": {}, "body": {}}],
}
"""What is said on a socket to hear the same request."""


async def ask(
    http: ClientSession, base: str, headers: Mapping[str, str] | None = None, **more: Any
) -> tuple[dict[str, Any], Mapping[str, str]]:
    """One request, in its chat, without waiting for its answer: what was said to it, and the headers of that."""
    body = {"request_id": "asked", "chat_id": "the-chat", "text": "Hello", **more}
    preferring = {"Prefer": "respond-async", **(headers or {})}
    async with http.post(f"{base}/v1/requests", json=body, headers=preferring) as response:
        assert response.status == 202, await response.text()
        return await response.json(), response.headers


async def says(pieces: AsyncIterator[str], word: str) -> str:
    """Read until a word was said; all that came. Raises: AssertionError if it ends before, and what the reading does."""
    came = ""
    async with asyncio.timeout(SAYS_S):
        async for piece in pieces:
            came += piece
            if word.strip() in came:
                return came
    raise AssertionError(f"ended without {word!r}: {came[-500:]}")


async def each_says(streams: Mapping[str, AsyncIterator[str]], word: str) -> None:
    """Every stream says that word."""
    async with asyncio.TaskGroup() as group:
        for pieces in streams.values():
            group.create_task(says(pieces, word))


async def texts_of(response: ClientResponse) -> AsyncIterator[str]:
    """What comes, as it comes; good for words of ASCII."""
    async for piece in response.content.iter_any():
        yield piece.decode("utf-8", "replace")


async def messages_of(ws: ClientWebSocketResponse) -> AsyncIterator[str]:
    """The same of a socket."""
    async for message in ws:
        yield message.data


async def open_all(stack: AsyncExitStack, http: ClientSession, base: str) -> dict[str, AsyncIterator[str]]:
    """Every streaming door at once: what each says, by its name."""
    streams: dict[str, AsyncIterator[str]] = {}
    for name, (method, path, body, headers) in STREAMS.items():
        call = http.request(method, base + path, json=body, headers=headers)
        response = await stack.enter_async_context(call)
        assert response.status == 200, (name, await response.text())
        streams[name] = texts_of(response)
    for path, frames in TALKS.items():
        ws = await stack.enter_async_context(http.ws_connect(base + path))
        for frame in frames:
            await ws.send_str(json.dumps(frame))
        streams[path] = messages_of(ws)
    return streams

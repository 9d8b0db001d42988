"""The chat-completions agent, through the real SDK, against a server that sends more than anybody should keep."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest
from aiohttp import web

from holdfast_protocol.transcript import Transcript
from holdfast_server.agents import AgentFailure, Context, End, Message, OpenAIChat, Output, Profile, Text
from holdfast_server.agents.openai_wire import EVENT_BYTES_MAX
from holdfast_server.stores.base import Owner

WAIT_S = 20.0  # for the whole of a test's work; none comes near it
ENDLESS_BYTES = 32 * 1024 * 1024  # what the server has to send; it gets rid of a fraction
BUFFERS_BYTES_MAX = 8 * 1024 * 1024  # what sockets on both sides may hold beside what was read
BLOCK_BYTES = 64 * 1024


def event(text: str = "", finish: str | None = None, newline: str = "\n") -> bytes:
    """One chunk of an answer, as it stands on the wire."""
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]
    return f"data: {json.dumps({'choices': choices})}{newline}{newline}".encode()


class Sender:
    """Answers every call with the same bytes, and counts those that it got rid of."""

    def __init__(
        self, blocks: Callable[[], list[bytes]], *, status: int = 200, encoding: str | None = None
    ) -> None:
        self._blocks = blocks
        self._status = status
        self._encoding = encoding
        self.accepted: list[str | None] = []
        self.sent = 0
        self.left = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.accepted.append(request.headers.get("Accept-Encoding"))
        response = web.StreamResponse(status=self._status, headers={"Content-Type": "text/event-stream"})
        if self._encoding:
            response.headers["Content-Encoding"] = self._encoding
        try:
            await response.prepare(request)
            for block in self._blocks():
                await response.write(block)
                self.sent += len(block)
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        return response


@asynccontextmanager
async def asking(sender: Sender) -> AsyncIterator[OpenAIChat]:
    """The agent, with this server as its own."""
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", sender.answer)])
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    agent = OpenAIChat(Profile(name="openai", model="m"), api_key="any", base_url=address)
    try:
        yield agent
    finally:
        await agent.close()
        await runner.cleanup()


async def said(agent: OpenAIChat) -> list[Output]:
    """All that one call gives. Raises: AgentFailure."""
    context = Context(
        request_id="r", owner=Owner("t", "u"), chat_id=None, messages=[Message("user", "q")], options={}, attempt=1,
        reason="first", transcript=Transcript(), inputs=(), step=None,  # type: ignore[arg-type]
    )  # fmt: skip
    async with asyncio.timeout(WAIT_S), aclosing(agent.run(context)) as outputs:  # type: ignore[type-var]
        return [output async for output in outputs]


@pytest.mark.parametrize(
    "block",
    [b"x" * BLOCK_BYTES, b"data: x\n" * (BLOCK_BYTES // 8), b"data: x\r\n" * (BLOCK_BYTES // 9)],
    ids=["line", "event", "event-crlf"],
)
async def test_an_event_without_an_end_is_given_up(block: bytes):
    """Neither a line nor an event is collected beyond the limit; the failure says so, and the server is left."""
    sender = Sender(lambda: [b"data: ", *[block] * (ENDLESS_BYTES // len(block))])
    async with asking(sender) as agent:
        with pytest.raises(AgentFailure, match="without an end") as failed:
            await said(agent)
        assert (failed.value.code, failed.value.retryable) == ("upstream_oversized", True)
        async with asyncio.timeout(WAIT_S):
            await sender.left.wait()
        assert sender.sent < EVENT_BYTES_MAX + BUFFERS_BYTES_MAX


async def test_what_comes_after_a_whole_answer_cannot_harm_it():
    """The answer has its reason; an endless line behind it is left, and the answer stands."""
    blocks = [event("a"), event("", "stop"), *[b"x" * BLOCK_BYTES] * (ENDLESS_BYTES // BLOCK_BYTES)]
    sender = Sender(lambda: blocks)
    async with asking(sender) as agent:
        assert await said(agent) == [Text("a"), End("stop")]
        assert sender.sent < EVENT_BYTES_MAX + BUFFERS_BYTES_MAX


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
async def test_a_long_answer_is_not_a_long_event(newline: str):
    """The limit is for one event: many of them may be larger together, whichever way lines end."""
    text = "y" * (EVENT_BYTES_MAX // 4)
    blocks = [*[event(text, newline=newline)] * 9, event("", "stop", newline)]
    async with asking(Sender(lambda: blocks)) as agent:
        outputs = await said(agent)
        assert outputs == [*[Text(text)] * 9, End("stop")]


async def test_an_error_page_is_read_to_its_limit():
    """A refusal keeps its meaning, however much the server has to say about it."""
    sender = Sender(lambda: [b"x" * BLOCK_BYTES] * (ENDLESS_BYTES // BLOCK_BYTES), status=503)
    async with asking(sender) as agent:
        with pytest.raises(AgentFailure) as failed:
            await said(agent)
        assert (failed.value.code, failed.value.retryable) == ("upstream_error", True)
        assert sender.sent < EVENT_BYTES_MAX + BUFFERS_BYTES_MAX


async def test_nothing_compressed_is_asked_for_or_taken():
    """A few compressed bytes may be gigabytes: the server is told to send none, and those that come are not unpacked."""
    sender = Sender(lambda: [gzip.compress(event("a") + event("", "stop"))], encoding="gzip")
    async with asking(sender) as agent:
        with pytest.raises(AgentFailure, match="compressed") as failed:
            await said(agent)
        assert failed.value.code == "upstream_garbled"
        assert sender.accepted == ["identity"]


async def test_a_compressed_error_page_is_not_unpacked():
    """Its status says enough."""
    sender = Sender(lambda: [gzip.compress(b"x" * 100)], status=401, encoding="gzip")
    async with asking(sender) as agent:
        with pytest.raises(AgentFailure) as failed:
            await said(agent)
        assert failed.value.code == "upstream_denied"

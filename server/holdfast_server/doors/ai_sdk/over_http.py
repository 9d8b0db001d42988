"""The AI SDK's HTTP transport: ask, come back to what runs, stop it, load a chat."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from holdfast_server.doors.bodies import check_query, idempotent_id, read_json
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.streaming import EventStream, follow
from holdfast_server.stores.log import Log

from .asking import Asking
from .loading import load_messages
from .naming import DOOR, checked_chat
from .shapes import Question, Stop
from .telling import Telling, sse

STREAM = {"x-vercel-ai-ui-message-stream": "v1"}
"""Which protocol the stream speaks."""

DONE = b"data: [DONE]\n\n"

RESETS_FROM = 7
"""The version of the AI SDK that knows `reset-step`."""


class HttpTransport:
    """What DefaultChatTransport calls."""

    def __init__(self, desk: HttpDesk, asking: Asking) -> None:
        self._desk = desk
        self._asking = asking

    async def ask(self, visit: Visit) -> web.StreamResponse:
        """POST /api/chat: submit the last message, and stream its answer. Hanging up ends the reading alone (I5)."""
        check_query(visit, "agent", "ai")
        question = await read_json(visit, Question)
        asked = await self._asking.ask(
            visit.owner,
            question,
            agent=visit.request.query.get("agent"),
            key=question.request_id or idempotent_id(visit),
        )
        return await _stream(visit, asked.log, reset_steps=_resets(visit, question.ai_sdk))

    async def resume(self, visit: Visit) -> web.StreamResponse:
        """GET /api/chat/{id}/stream: what runs, from what stands on; 204 if nothing does. `agent` is known but chooses nothing:
        a page's address is the same for asking and for coming back."""
        check_query(visit, "last", "ai", "agent")
        chat_id = checked_chat(visit.request.match_info["chat_id"])
        log = await self._asking.to_tell(visit.owner, chat_id, visit.request.query.get("last"))
        if log is None:
            return web.Response(status=204, headers={"Cache-Control": "no-store"})
        return await _stream(visit, log, reset_steps=_resets(visit, None))

    async def stop(self, visit: Visit) -> web.StreamResponse:
        """POST /api/chat/{id}/stop: end what runs in the chat."""
        check_query(visit)
        body = await read_json(visit, Stop, empty=Stop())
        chat_id = checked_chat(visit.request.match_info["chat_id"])
        stopped = 0
        for log in await self._asking.active(visit.owner, chat_id):
            request_id = log.key.request_id
            if body.active_stream_id in (None, request_id):
                won, _ = await self._desk.requests.cancel(visit.owner, request_id)
                stopped += won
        return _json({"stopped": stopped})

    async def messages(self, visit: Visit) -> web.StreamResponse:
        """GET /api/chat/{id}/messages: the newest branch, as `useChat({messages})` takes it."""
        check_query(visit, "ai", "agent")
        chat_id = checked_chat(visit.request.match_info["chat_id"])
        loaded = await load_messages(self._desk.requests, visit.owner, chat_id)
        now = asyncio.get_running_loop().time()
        await self._asking.left_out.put(visit.owner, chat_id, loaded.left_out, now)
        return _json(loaded.messages)


async def _stream(visit: Visit, log: Log, *, reset_steps: bool) -> web.StreamResponse:
    telling = Telling(log, reset_steps=reset_steps)
    stream = EventStream(visit, headers={**STREAM, "x-request-id": log.key.request_id})
    try:
        async with stream:
            await stream.write_all(sse([chunk]) for chunk in telling.begin())
            async for first, last in follow(stream, log, telling.cursor, DOOR):
                await stream.write_all(sse([chunk]) for chunk in telling.take(first, last))
                if telling.ended:
                    break
            await stream.write(sse(telling.last()))
            if not (log.sealed or log.erased or telling.ended):
                raise _BrokenOff
            await stream.write(DONE)
    except _BrokenOff:
        pass
    return stream.response


class _BrokenOff(Exception):
    """The server closes in mid-answer: the reader must take it for a lost connection, and not for the end."""


def _resets(visit: Visit, said: int | None) -> bool:
    """Whether the reader is an AI SDK that knows `reset-step`; one that says nothing is taken for an older one."""
    version = visit.request.query.get("ai") or visit.request.headers.get("x-ai-sdk") or ""
    if said is None and version.isascii() and version.isdigit() and len(version) <= 4:
        said = int(version)
    return said is not None and said >= RESETS_FROM


def _json(value: object) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )

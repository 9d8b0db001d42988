"""/v1/chat/completions over HTTP: streaming and not, and the completion that was stored.

The standard has no way to come back to a completion; its header X-Request-Id has the id under which the answer is found at
/v1/responses/resp_<id>, and at every other door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from holdfast_protocol import events as ev
from holdfast_server.doors.bodies import idempotent_id, read_json
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.lines import json_line
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.refusal import Refused
from holdfast_server.doors.streaming import EventStream, follow, wait_answered
from holdfast_server.journal import snapshot
from holdfast_server.projections.base import Asked
from holdfast_server.projections.completions import BAD_OPTION, CompletionsProjection
from holdfast_server.projections.response_envelope import NOTED_AS, envelope_of
from holdfast_server.reels import Reels, asked_of
from holdfast_server.stores.base import UnknownRequest
from holdfast_server.stores.log import Log

from .completions_create import body_of, creation_of
from .delivering import Delivering, ends_with_call, headers_of, json_response, not_ended
from .naming import COMPLETION, not_found, own_id
from .paging import Again, Nothing, query
from .responses import DOOR
from .responses_create import accept

DONE: Final = b"data: [DONE]\n\n"

STATUSES: Final[Mapping[type[ev.Outcome], int]] = {
    ev.Failed: 500,
    ev.TimedOut: 504,
    ev.Interrupted: 503,
    ev.Cancelled: 409,
}
"""How an answer that is not whole is told to a caller who waited for it."""

_JSON: Final = msgspec.json.Encoder()


def chunk(frame: dict[str, Any]) -> bytes:
    """A chunk as server-sent event."""
    return b"data: " + json_line(frame) + b"\n\n"


def _whole(asked: Asked) -> CompletionsProjection:
    return CompletionsProjection(asked, include_usage=True)


class Completions:
    """The calls."""

    def __init__(self, desk: HttpDesk, delivering: Delivering) -> None:
        self._desk = desk
        self._delivering = delivering
        self._reels: Reels[CompletionsProjection] = Reels(_whole)

    def add_routes(self, app: web.Application) -> None:
        """Serve them."""
        add, one = self._desk.reception.add, "/v1/chat/completions/{completion_id}"
        add(app, "POST", "/v1/chat/completions", self._create)
        add(app, "GET", one, self._retrieve)
        add(app, "DELETE", one, self._delete)

    async def _create(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        body = body_of(await read_json(visit, dict[str, Any]))
        creation = creation_of(body, self._desk.profiles, request_id=idempotent_id(visit))
        cancels = ends_with_call(visit)
        log = (await accept(self._desk.requests, visit.owner, creation, {})).log
        if body.stream:
            return await self._follow(visit, log, include_usage=body.include_usage, cancels=cancels)
        if not await wait_answered(visit, log, self._desk.wait_max_s):
            if cancels and visit.gone:
                await self._delivering.cancel(log)
            raise _pending(log)
        return await self._show(visit, log)

    async def _follow(
        self, visit: Visit, log: Log, *, include_usage: bool, cancels: bool
    ) -> web.StreamResponse:
        projection = CompletionsProjection(asked_of(log), include_usage=include_usage)

        # What was dropped by now nobody needs to be shown, who could not be told to drop it.
        stands, start = (snapshot(log), log.tail) if log.superseded(1) else ([], 0)

        async def show(stream: EventStream, events: Sequence[ev.Event]) -> bool:
            await stream.write_all(chunk(frame) for event in events for frame in projection.apply(event))
            if projection.done_marker:
                await stream.write(DONE)
            return projection.ended

        async def tell(stream: EventStream) -> None:
            if await show(stream, stands):
                return
            async for first, last in follow(stream, log, start, DOOR):
                if await show(stream, log.events[first:last]):
                    return
            raise not_ended(visit, log)

        return await self._delivering.stream(visit, log, tell, cancels=cancels)

    async def _show(self, visit: Visit, log: Log) -> web.StreamResponse:
        """The completion, or why there is none. Raises: Refused."""
        projection = await self._reels.wound(log)
        outcome = projection.failure
        if outcome is not None:
            await self._delivering.let_go(log)
            wrong = outcome.code == BAD_OPTION
            raise Refused(
                400 if wrong else STATUSES.get(type(outcome), 500),
                outcome.code,
                outcome.message or f"The request ended without an answer ({outcome.code}).",
                retryable=outcome.retryable and not wrong,
                headers=headers_of(log),
            )
        value = projection.completion()
        metadata = envelope_of(asked_of(log)).metadata
        if metadata:
            value["metadata"] = metadata
        return await self._delivering.hand_over(visit, log, value)

    # -- what was stored -------------------------------------------------------------------------------------

    async def _find(self, visit: Visit) -> Log:
        name = visit.request.match_info["completion_id"]
        try:
            return await self._desk.requests.find(visit.owner, own_id(name, COMPLETION))
        except UnknownRequest:
            raise not_found(name, COMPLETION) from None

    async def _retrieve(self, visit: Visit) -> web.StreamResponse:
        wanted = query(visit.request, Again)
        log = await self._find(visit)
        if wanted.stream:
            return await self._follow(visit, log, include_usage=wanted.include_usage, cancels=False)
        if not log.sealed:
            raise _pending(log, 409)
        return await self._show(visit, log)

    async def _delete(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        log = await self._find(visit)
        if log.record.chat_id is not None or NOTED_AS not in log.record.envelope:
            raise not_found(visit.request.match_info["completion_id"], COMPLETION)
        await self._desk.requests.delete(visit.owner, log.key.request_id)
        name = f"{COMPLETION}{log.key.request_id}"
        return json_response({"id": name, "object": "chat.completion.deleted", "deleted": True})


def _pending(log: Log, status: int = 504) -> Refused:
    """It is still being answered. Not to be retried: that would ask once more."""
    name = f"{COMPLETION}{log.key.request_id}"
    text = (
        f"The answer is not there yet, and goes on being made: get it at /v1/chat/completions/{name}, or follow it at "
        f"/v1/responses/resp_{log.key.request_id}?stream=true."
    )
    return Refused(status, "pending", text, retryable=False, headers=headers_of(log))

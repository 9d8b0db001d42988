"""/v1/responses over HTTP: create, retrieve, follow, cancel, delete, list what was asked.

A sequence number follows from the log (projections/responses.py), so a reader may come back with the last one it has at any
time: after a broken connection, after the end, after a restart of the server.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from holdfast_server.doors.bodies import idempotent_id, read_json, read_nothing
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.lines import json_line
from holdfast_server.doors.reception import Visit
from holdfast_server.doors.refusal import Refused
from holdfast_server.doors.streaming import EventStream, follow, wait_answered
from holdfast_server.projections.response_input import input_items
from holdfast_server.reels import asked_of
from holdfast_server.stores.base import UnknownRequest
from holdfast_server.stores.log import Log

from .delivering import Delivering, ends_with_call, headers_of, json_response, not_ended
from .naming import RESPONSE, invalid, not_found, own_id
from .paging import Nothing, Paging, Retrieval, query
from .response_reel import Reel, ResponseReels, reel_after
from .responses_create import ResponsesIntake

DOOR: Final = "openai"
"""What those who follow a request are said to have come through."""

_JSON: Final = msgspec.json.Encoder()


def sse(frame: dict[str, Any]) -> bytes:
    """A stream event as server-sent event. There is no `id:`: OpenAI's own client falls over what would follow it."""
    kind: str = frame["type"]
    return b"event: " + kind.encode() + b"\ndata: " + json_line(frame) + b"\n\n"


class Responses:
    """The calls. `intake` makes requests of bodies."""

    def __init__(
        self, desk: HttpDesk, intake: ResponsesIntake, reels: ResponseReels, delivering: Delivering
    ) -> None:
        self._desk = desk
        self._intake = intake
        self._reels = reels
        self._delivering = delivering

    def add_routes(self, app: web.Application) -> None:
        """Serve them."""
        add, one = self._desk.reception.add, "/v1/responses/{response_id}"
        add(app, "POST", "/v1/responses", self._create)
        add(app, "POST", "/v1/responses/input_tokens", self._no_such_call)
        add(app, "POST", "/v1/responses/compact", self._no_such_call)
        add(app, "GET", one, self._retrieve)
        add(app, "DELETE", one, self._delete)
        add(app, "POST", f"{one}/cancel", self._cancel)
        add(app, "GET", f"{one}/input_items", self._input_items)

    async def _no_such_call(self, visit: Visit) -> web.StreamResponse:
        path = visit.request.path
        raise Refused(
            404,
            "unsupported_endpoint",
            f"{path} is not supported; agents count and cut what they are given.",
        )

    # -- create ----------------------------------------------------------------------------------------------

    async def _create(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        body = await read_json(visit, dict[str, Any])
        creation = await self._intake.creation(visit.owner, body, request_id=idempotent_id(visit))
        cancels = ends_with_call(visit) and not creation.background
        log = (await self._intake.open(visit.owner, creation)).log
        if creation.stream:
            return await self._follow(
                visit, log, await reel_after(log, None, extensions=creation.extensions), cancels=cancels
            )
        if not creation.background:
            await wait_answered(visit, log, self._desk.wait_max_s)
            if cancels and visit.gone:
                await self._delivering.cancel(log)
        return await self._show(visit, log)

    async def _show(self, visit: Visit, log: Log) -> web.StreamResponse:
        """The object as it is now. Raises: Refused."""
        if log.erased:
            raise not_found(f"{RESPONSE}{log.key.request_id}", RESPONSE)
        return await self._delivering.hand_over(visit, log, (await self._reels.wound(log)).response())

    async def _follow(
        self, visit: Visit, log: Log, reel: Reel, *, cancels: bool = False
    ) -> web.StreamResponse:
        """The events from there on, to the last. Raises: Refused when it breaks off before."""

        async def tell(stream: EventStream) -> None:
            await stream.write_all(map(sse, reel.frames))
            reel.frames = []
            async for first, last in follow(stream, log, reel.offset, DOOR):
                events = log.events[first:last]
                await stream.write_all(sse(frame) for event in events for frame in reel.apply(event))
            if not log.sealed or log.erased:
                raise not_ended(visit, log)

        return await self._delivering.stream(visit, log, tell, cancels=cancels)

    # -- the rest --------------------------------------------------------------------------------------------

    async def _find(self, visit: Visit) -> Log:
        name = visit.request.match_info["response_id"]
        try:
            return await self._desk.requests.find(visit.owner, own_id(name, RESPONSE))
        except UnknownRequest:
            raise not_found(name, RESPONSE) from None

    async def _retrieve(self, visit: Visit) -> web.StreamResponse:
        wanted = query(visit.request, Retrieval)
        log = await self._find(visit)
        if wanted.stream:
            reel = await reel_after(log, wanted.starting_after, extensions=wanted.include is not None)
            return await self._follow(visit, log, reel)
        for name in ("starting_after", "include"):
            if getattr(wanted, name) is not None:
                raise invalid(name, "it goes with `stream=true`.")
        return await self._show(visit, log)

    async def _cancel(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        await read_nothing(visit)
        log = await self._find(visit)
        await self._desk.requests.cancel(visit.owner, log.key.request_id)
        # Read again: what was followed here may have been purged, and is then made from the history.
        return await self._show(visit, await self._find(visit))

    async def _delete(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        log = await self._find(visit)
        chat_id, name = log.record.chat_id, f"{RESPONSE}{log.key.request_id}"
        if chat_id is not None:
            text = (
                f"This response is in the conversation conv_{chat_id}, where others may build on it; delete its item "
                "there, or the conversation."
            )
            raise Refused(409, "in_conversation", text)
        await self._desk.requests.delete(visit.owner, log.key.request_id)
        deleted = {"id": name, "object": "response.deleted", "deleted": True}
        return json_response(deleted, headers_of(log))

    async def _input_items(self, visit: Visit) -> web.StreamResponse:
        wanted = query(visit.request, Paging)
        log = await self._find(visit)
        return json_response(wanted.page(input_items(asked_of(log))), headers_of(log))

"""The calls of the dialect `async_chat`: start, ask after, delete."""

from __future__ import annotations

from aiohttp import hdrs, web

from holdfast_server.doors.reception import Reception, Visit
from holdfast_server.projections.dialects import async_chat as dialect
from holdfast_server.reels import asked_of

from .asking import Asking, reply


class AsyncChatCalls:
    """See the module's text."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def add_routes(self, app: web.Application, reception: Reception) -> None:
        """Serve them."""
        reception.add(app, hdrs.METH_POST, "/api/chat/async", self._start)
        reception.add(app, hdrs.METH_GET, "/api/chat/async/{request_id}/status", self._status)
        reception.add(app, hdrs.METH_DELETE, "/api/chat/async/{request_id}", self._delete)

    async def _start(self, visit: Visit) -> web.StreamResponse:
        body = await self._asking.read(visit, dialect.AsyncChat)
        log = await self._asking.submit(visit, body, dialect.submission_of, total_s=dialect.TOTAL_S_DEFAULT)
        return reply(dialect.begun(asked_of(log)), log)

    async def _status(self, visit: Visit) -> web.StreamResponse:
        log = await self._asking.find(visit, visit.request.match_info["request_id"])
        return reply(dialect.status(await self._asking.story(log)), log)

    async def _delete(self, visit: Visit) -> web.StreamResponse:
        """What runs is ended first; one of a session goes with what was said after it."""
        log = await self._asking.find(visit, visit.request.match_info["request_id"])
        await self._asking.desk.requests.delete(visit.owner, log.key.request_id)
        return reply(dialect.deleted(asked_of(log)), log)

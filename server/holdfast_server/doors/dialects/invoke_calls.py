"""The calls of the dialect `invoke`: an invocation, its status, and its socket."""

from __future__ import annotations

from aiohttp import hdrs, web

from holdfast_server.doors.reception import Reception, Visit
from holdfast_server.projections.dialects import invoke as dialect
from holdfast_server.reels import asked_of

from .asking import Asking, reply
from .invoke_socket import serve_socket


class InvokeCalls:
    """See the module's text."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def add_routes(self, app: web.Application, reception: Reception) -> None:
        """Serve them. A browser's WebSocket cannot send a token, so a ticket lets in to the socket."""
        for path in ("/invoke_endpoint", "/api/invoke_endpoint"):
            reception.add(app, hdrs.METH_POST, path, self._invoke)
        reception.add(app, hdrs.METH_GET, "/api/requests/{request_id}/status", self._status)
        for path in ("/requests/{request_id}/stream", "/api/requests/{request_id}/stream"):
            reception.add(app, hdrs.METH_GET, path, self._stream, ticket=True)

    async def _invoke(self, visit: Visit) -> web.StreamResponse:
        body = await self._asking.read(visit, dialect.Invocation)
        log = await self._asking.submit(visit, body, dialect.submission_of, fields={})
        return reply(dialect.begun(asked_of(log)), log)

    async def _status(self, visit: Visit) -> web.StreamResponse:
        log = await self._asking.find(visit, visit.request.match_info["request_id"])
        return reply(dialect.snapshot(await self._asking.story(log)), log)

    async def _stream(self, visit: Visit) -> web.StreamResponse:
        log = await self._asking.find(visit, visit.request.match_info["request_id"], "ticket")
        return await serve_socket(self._asking, visit, log)

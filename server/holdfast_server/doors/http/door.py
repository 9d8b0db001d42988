"""The native HTTP door: the operations of the table on their paths, and the pages that describe them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.reception import Visit

from .documents import Documents
from .operations import ID_HEADER, Operation
from .table import OPERATIONS


class HttpDoor:
    """Add its routes, and that is all: what it serves ends with the reception. `docs`: whether /openapi.json and /docs are
    there, for everybody who reaches the server."""

    def __init__(self, desk: HttpDesk, *, docs: bool = True) -> None:
        self._desk = desk
        self._documents = Documents(OPERATIONS, desk.reception.outside) if docs else None

    def add_routes(self, app: web.Application) -> None:
        """Serve every operation."""
        for operation in OPERATIONS:
            self._desk.reception.add(
                app, operation.method, operation.path, self._call(operation), ticket=operation.ticket,
                head=operation.head,
            )  # fmt: skip
        if self._documents is not None:
            self._documents.add_routes(app)
            self._desk.reception.docs = True

    def _call(self, operation: Operation) -> Callable[[Visit], Awaitable[web.StreamResponse]]:
        async def call(visit: Visit) -> web.StreamResponse:
            response = await operation.call(await operation.read(self._desk, visit))
            request_id = visit.request.match_info.get("request_id")
            if request_id is not None and not response.prepared:  # a stream says it itself, before it begins
                response.headers.setdefault(ID_HEADER, request_id)
            return response

        return call

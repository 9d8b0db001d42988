"""/v1/models: the agents of this server, as models."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from holdfast_protocol.replies import AgentRow
from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.reception import Visit

from .agents_here import profile_of
from .delivering import json_response
from .paging import Nothing, query


class Models:
    """The calls. When an agent was made nobody knows: `created` is when the server started, in seconds since 1970."""

    def __init__(self, desk: HttpDesk) -> None:
        self._desk = desk
        self._created = desk.now_ms() // 1000

    def add_routes(self, app: web.Application) -> None:
        """Serve them."""
        self._desk.reception.add(app, "GET", "/v1/models", self._list, head=True)
        self._desk.reception.add(app, "GET", "/v1/models/{model}", self._retrieve, head=True)

    async def _list(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        return json_response({"object": "list", "data": [self._model(row) for row in self._desk.agents]})

    async def _retrieve(self, visit: Visit) -> web.StreamResponse:
        query(visit.request, Nothing)
        name = visit.request.match_info["model"]
        profile_of(self._desk.profiles, name)
        return json_response(self._model(next(row for row in self._desk.agents if row.name == name)))

    def _model(self, row: AgentRow) -> dict[str, Any]:
        own = {"description": row.description, "model": row.model, "default": row.default}
        return {
            "id": row.name, "object": "model", "created": self._created, "owned_by": "holdfast", "holdfast": own,
        }  # fmt: skip

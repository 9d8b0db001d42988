"""The AI SDK's door: `useChat` with its own transports, over HTTP and over one WebSocket (docs/ai-sdk.md)."""

from __future__ import annotations

from aiohttp import hdrs, web

from holdfast_server.doors.http_desk import HttpDesk

from .asking import Asking
from .over_http import HttpTransport
from .over_socket import SocketTransport


class AiSdkDoor:
    """Add its routes. It ends with the reception that it stands behind."""

    def __init__(self, desk: HttpDesk) -> None:
        self._desk = desk
        asking = Asking(desk)
        self._http = HttpTransport(desk, asking)
        self._socket = SocketTransport(desk, asking)

    def add_routes(self, app: web.Application) -> None:
        """Serve /api/chat and what is under it."""
        add = self._desk.reception.add
        add(app, hdrs.METH_POST, "/api/chat", self._http.ask)
        add(app, hdrs.METH_GET, "/api/chat/ws", self._socket.serve, ticket=True)
        add(app, hdrs.METH_GET, "/api/chat/{chat_id}/stream", self._http.resume)
        add(app, hdrs.METH_POST, "/api/chat/{chat_id}/stop", self._http.stop)
        add(app, hdrs.METH_GET, "/api/chat/{chat_id}/messages", self._http.messages)

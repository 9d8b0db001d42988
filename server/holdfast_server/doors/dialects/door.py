"""The door of the five older dialects of asynchronous chat (docs/dialects.md)."""

from __future__ import annotations

from aiohttp import web

from holdfast_server.doors.http_desk import HttpDesk

from .asking import Asking
from .async_chat_calls import AsyncChatCalls
from .chat_tasks_calls import ChatTasksCalls
from .invoke_calls import InvokeCalls
from .workflow_jobs_calls import WorkflowJobsCalls
from .workflow_stream_calls import WorkflowStreamCalls


class DialectsDoor:
    """Add its routes. It ends with the reception that it stands behind."""

    def __init__(self, desk: HttpDesk) -> None:
        self._reception = desk.reception
        asking = Asking(desk)
        self._dialects = (
            AsyncChatCalls(asking), WorkflowJobsCalls(asking), ChatTasksCalls(asking), InvokeCalls(asking),
            WorkflowStreamCalls(asking),
        )  # fmt: skip

    def add_routes(self, app: web.Application) -> None:
        """Serve every dialect."""
        for dialect in self._dialects:
            dialect.add_routes(app, self._reception)

"""OpenAI's API as one door: its parts, put together over the desk that all HTTP doors share."""

from __future__ import annotations

from aiohttp import web

from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.projections.responses import ResponsesProjection
from holdfast_server.reels import Reels

from .completions import Completions
from .conversations import Conversations
from .delivering import Delivering
from .earlier import Turns
from .models import Models
from .response_reel import ResponseReels
from .responses import Responses
from .responses_create import ResponsesIntake
from .socket import ResponsesSocket


class OpenAIDoor:
    """All of it."""

    def __init__(self, desk: HttpDesk) -> None:
        reels: ResponseReels = Reels(ResponsesProjection)
        turns = Turns(desk.requests, reels)
        intake = ResponsesIntake(desk.requests, turns)
        delivering = Delivering(desk)
        self._parts = (
            Responses(desk, intake, reels, delivering),
            ResponsesSocket(desk, intake),
            Completions(desk, delivering),
            Conversations(desk, reels, turns),
            Models(desk),
        )

    def add_routes(self, app: web.Application) -> None:
        """Serve the API under /v1."""
        for part in self._parts:
            part.add_routes(app)

"""The WebSocket door: GET /ws.

A connection's life: the handshake (who may connect at all), its owner (a bearer token, or `hello` as the first frame),
then commands, one after another, each answered once; beside them the pushes that delivery writes. When it ends, by
whichever side and however, its subscriptions go and nothing else (I5).

Browsers see nothing of an HTTP refusal but that it failed; so what a page must know is told by a close code after the
connection was accepted.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

import structlog
from aiohttp import hdrs, web

from holdfast_protocol.codec import CODECS, JSON
from holdfast_protocol.limits import COMMAND_BYTES_MAX
from holdfast_protocol.pushes import Notice
from holdfast_protocol.replies import AgentRow, Welcome
from holdfast_server.delivery import Delivery
from holdfast_server.feed_delivery import FeedDelivery, Readable
from holdfast_server.identity import Identity, owner_name
from holdfast_server.stores.base import Owner
from holdfast_server.tasks import Tasks

from .desk import Desk, Requests
from .frames import FRAME_CODECS, frames_work
from .gate import Gate, Pass, Refusal
from .origins import Origins, hides_body
from .outside import Outside
from .reception import bearer
from .session import Session
from .settings import CLOSE_GRACE_S, DoorSettings

log = structlog.get_logger(__name__)

VERSION: Final = "13"
"""The only WebSocket version there is outside of drafts."""


class WebSocketDoor:
    """The door. `start` it, add its routes, `close` it before the server ends."""

    def __init__(
        self,
        requests: Requests,
        delivery: Delivery,
        feed: Readable,
        identity: Identity,
        *,
        agents: Sequence[AgentRow],
        settings: DoorSettings,
        outside: Outside | None = None,
    ) -> None:
        self._outside = outside or Outside()
        self.settings = settings
        self._delivery = delivery
        self._identity = identity
        self._feeds = FeedDelivery(feed, delivery)
        self._gate = Gate(
            settings.connections_max, settings.anonymous_connections_max, settings.user_connections_max
        )
        own = [self._outside.origin] if self._outside.origin else []
        self._origins = Origins([*settings.allowed_origins, *own], own_names_only=not identity.needs_token)
        self._sessions: dict[Session, None] = {}
        self._tasks = Tasks("websocket")
        self._direct = False
        self._draining = False
        self._closed = False
        self._desk = Desk(
            requests=requests,
            delivery=delivery,
            feed=feed,
            feeds=self._feeds,
            agents=agents,
            welcome=self._welcome,
            owner_of=identity.owner_of,
            is_operator=identity.is_operator,
            now_ms=lambda: time.time_ns() // 1_000_000,
        )

    # -- life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Find out how frames can be sent here."""
        self._direct = await frames_work()

    def add_routes(self, app: web.Application) -> None:
        """Serve GET /ws."""
        app.router.add_get("/ws", self.serve, allow_head=False)

    @property
    def connections(self) -> int:
        """How many there are."""
        return self._gate.total

    def announce_draining(self) -> None:
        """Tell everybody that the server is about to restart."""
        self._draining = True
        self._delivery.notify(
            Notice(kind="draining", message="The server restarts soon; answers go on after it.")
        )

    async def close(self, spread_s: float | None = None) -> None:
        """Close every connection with 1012, spread over that time so that they do not all come back at once, and stop."""
        self._draining = self._closed = True
        spread_s = self.settings.close_spread_s if spread_s is None else spread_s
        dice = random.Random()  # noqa: S311 - spreads a crowd, guards nothing
        closing = [
            self._tasks.start(self._close_later(session, dice.uniform(0, spread_s)), "close")
            for session in list(self._sessions)
        ]
        if closing:
            await asyncio.wait(closing, timeout=spread_s + 2 * CLOSE_GRACE_S)
        for session in list(self._sessions):
            session.abort()
        await self._feeds.close()
        await self._tasks.close()

    async def _close_later(self, session: Session, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        session.close(1012, "The server restarts; reconnect.")
        await session.over.wait()

    # -- one connection --------------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """The whole life of one connection."""
        refused = self._refuse(request)
        if refused is not None:
            return refused
        offered = _offered(request)
        name = JSON.name if not offered else next((each for each in offered if each in CODECS), None)
        ws = web.WebSocketResponse(
            # A browser ends a connection whose server names none of the offered protocols, before any close code.
            protocols=offered[:1] if name is None else [name],
            heartbeat=self.settings.heartbeat_s,
            timeout=CLOSE_GRACE_S,
            compress=False,
            max_msg_size=COMMAND_BYTES_MAX,
        )
        if not ws.can_prepare(request):
            return _plain(400, "That is not a WebSocket handshake.")
        token = bearer(request)
        owner = self._identity.owner_of(token)
        entry = self._gate.enter(self._outside.address(request) if owner is None else None)
        try:
            await ws.prepare(request)
            refusal = self._refusal(request, name, token, owner, entry)
            if refusal is not None:
                await _turn_away(ws, refusal)
                return ws
            assert name is not None
            assert isinstance(entry, Pass)
            await self._talk(request, ws, name, owner, entry)
        except ConnectionError:
            pass  # it has gone; nothing of it is left
        finally:
            if isinstance(entry, Pass):
                entry.leave()
        return ws

    def _refuse(self, request: web.Request) -> web.Response | None:
        """What is wrong with the request as HTTP."""
        headers = request.headers
        if self._closed:
            return _plain(503, "The server restarts; try again in a moment.")
        if request.method != hdrs.METH_GET:
            return _plain(405, "Only GET.", Allow="GET")
        if headers.get(hdrs.UPGRADE, "").lower().strip() != "websocket":
            return _plain(426, "This is a WebSocket; ask for an upgrade.", Upgrade="websocket")
        if headers.get(hdrs.SEC_WEBSOCKET_VERSION) != VERSION:
            return _plain(426, "Only WebSocket version 13.", **{hdrs.SEC_WEBSOCKET_VERSION: VERSION})
        # A body behind an upgrade is how a second request is hidden from whatever stands in front.
        if hides_body(headers):
            return _plain(400, "A WebSocket handshake has no body.")
        if len(headers.getall(hdrs.AUTHORIZATION, [])) > 1:
            return _plain(400, "Authorization was sent more than once; send it once.")
        if hdrs.AUTHORIZATION in headers and not self._permits(request):
            return _plain(403, "This origin may not connect.")
        return None

    def _permits(self, request: web.Request) -> bool:
        return self._origins.permit(request.headers.get(hdrs.ORIGIN), request.headers.get(hdrs.HOST))

    def _refusal(
        self,
        request: web.Request,
        name: str | None,
        token: str | None,
        owner: Owner | None,
        entry: Pass | Refusal,
    ) -> Refusal | None:
        """Why the connection, which is accepted by now, is closed at once."""
        if isinstance(entry, Refusal):
            return entry
        if not self._permits(request):
            return Refusal(4403, "This origin may not connect.")
        if name is None:
            return Refusal(4406, f"Offer one of: {', '.join(CODECS)}.")
        if owner is None and token is not None:
            return Refusal(4401, "That token is not valid.")
        return None if owner is None else entry.known(owner)

    async def _talk(
        self, request: web.Request, ws: web.WebSocketResponse, name: str, owner: Owner | None, entry: Pass
    ) -> None:
        transport = request.transport
        if transport is None:
            return
        session = Session(
            desk=self._desk,
            ws=ws,
            transport=transport,
            codec=FRAME_CODECS[name],
            settings=self.settings,
            entry=entry,
            direct=self._direct,
        )
        self._sessions[session] = None
        try:
            await session.run(owner, self._identity.is_operator(bearer(request)))
        finally:
            del self._sessions[session]

    def _welcome(self, ref: int, owner: Owner, operator: bool) -> Welcome:
        settings = self.settings
        return Welcome(
            ref=ref,
            server=settings.server,
            user=owner_name(owner),
            heartbeat_s=settings.heartbeat_s,
            durability=settings.durability,
            limits=settings.told,
            draining=self._draining,
            operator=operator,
        )


def _plain(status: int, text: str, **headers: str) -> web.Response:
    response = web.Response(status=status, text=text + "\n", headers=headers)
    response.force_close()
    return response


def _offered(request: web.Request) -> list[str]:
    lines = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [name for line in lines for name in map(str.strip, line.split(",")) if name]


async def _turn_away(ws: web.WebSocketResponse, refusal: Refusal) -> None:
    await ws.close(code=refusal.code, message=refusal.reason.encode())

"""The WebSocket door on a real port, over a memory store and a history file; answers are written by pens, not agents."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
from aiohttp import web
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from holdfast_protocol.replies import AgentRow
from holdfast_server.admission import Admission, Bounds
from holdfast_server.agents.base import Profile
from holdfast_server.chats import Chats
from holdfast_server.connection import DeliveryLimits
from holdfast_server.delivery import Delivery
from holdfast_server.doors.settings import DoorSettings
from holdfast_server.doors.websocket import WebSocketDoor
from holdfast_server.feed import Feed
from holdfast_server.identity import NoIdentity, TokenIdentity
from holdfast_server.ids import new_id
from holdfast_server.journal import Journal
from holdfast_server.projector import Projector
from holdfast_server.readers import Readers
from holdfast_server.requests import Requests
from holdfast_server.stores.base import Owner
from holdfast_server.stores.memory import MemoryStore
from holdfast_server.tasks import Tasks

from .journals import ANN, BOB, OPS
from .pens import Pen

TOKENS = {"ann-token": ANN, "bob-token": BOB, "ops-token": OPS}
SEND_BUFFER_BYTES = 64 * 1024


class Rig:
    """A node without agents."""

    def __init__(
        self, folder: Path, *, tokens: bool = True, limits: DeliveryLimits | None = None, **settings: Any
    ) -> None:
        self.store = MemoryStore()
        self.tasks = Tasks("rig")
        self.journal = Journal(self.store, now_ms=self.now_ms)
        self.chats = Chats(f"sqlite+aiosqlite:///{folder / 'history.db'}", now_ms=self.now_ms)
        self.projector = Projector(self.store, self.chats, self.tasks)
        self.readers = Readers(self.chats.reader_rows, now_ms=self.now_ms)
        self.requests = Requests(
            self.journal,
            self.chats,
            self.projector,
            Admission(self.journal, Bounds()),
            profiles={"demo": Profile(name="demo")},
            default_agent="demo",
            now_ms=self.now_ms,
            new_id=new_id,
            readers=self.readers,
        )
        self.feed = Feed(self.journal, self._first_chats)
        self.chats.observe(self.feed.chat_changed)
        self.delivery = Delivery(self.journal, limits=limits, witness=self.readers)
        self.door = WebSocketDoor(
            self.requests,
            self.delivery,
            self.feed,
            TokenIdentity(TOKENS.items(), operators=["ops-token"]) if tokens else NoIdentity(),
            agents=[AgentRow(name="demo", default=True)],
            settings=DoorSettings(**settings),
        )
        self.port = 0

    async def _first_chats(self, owner: Owner) -> list[Any]:
        return (await self.chats.list_chats(owner))[0]

    @staticmethod
    def now_ms() -> int:
        return time.time_ns() // 1_000_000

    async def pen(self, request_id: str) -> Pen:
        """The pen of a submitted request, with its attempt begun."""
        found: Any = None
        while found is None or found.log.key.request_id != request_id:
            await self.store.claimable()
            found = await self.store.claim()
        pen: Any = Pen(self, found.log)  # type: ignore[arg-type]
        pen._claim, pen._writer = found, self.store.writer(found)
        await pen.begin()
        return pen  # type: ignore[no-any-return]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    def connect(
        self,
        *,
        codec: str | None = "json",
        token: str | None = "ann-token",
        origin: str | None = None,
        **options: Any,
    ) -> connect:
        """A client of the `websockets` package."""
        return connect(
            self.url,
            subprotocols=None if codec is None else [Subprotocol(f"holdfast.v1.{codec}")],
            additional_headers={} if token is None else {"Authorization": f"Bearer {token}"},
            origin=None if origin is None else Origin(origin),
            compression=None,
            proxy=None,
            max_size=None,
            **options,
        )


@asynccontextmanager
async def serving(rig: Rig, *, start: bool = True, cancels: bool = False) -> AsyncIterator[Rig]:
    """The rig, listening. `start=False`: frames go through the library. `cancels`: as aiohttp's own test server."""
    await rig.store.start()
    await rig.chats.start()
    await rig.projector.start()
    if start:
        await rig.door.start()
    app = web.Application()
    rig.door.add_routes(app)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=cancels, shutdown_timeout=2)
    await runner.setup()
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    listening.bind(("127.0.0.1", 0))
    rig.port = listening.getsockname()[1]
    await web.SockSite(runner, listening).start()
    try:
        yield rig
    finally:
        await rig.door.close(0)
        await runner.cleanup()
        rig.delivery.close()
        await rig.readers.close()
        await rig.projector.close()
        await rig.tasks.close()
        await rig.chats.close()
        await rig.store.close()


class Client:
    """One connection's client, which reads the wire by itself: JSON by the standard library, MessagePack by `msgpack`."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.binary = ws.subprotocol is not None and ws.subprotocol.endswith("msgpack")
        self.pushes: list[dict[str, Any]] = []
        self.order: list[str] = []
        self.ref = 0

    async def send(self, command: dict[str, Any]) -> None:
        await self.ws.send(msgpack.packb(command) if self.binary else json.dumps(command))

    async def next(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(5):
            frame = await self.ws.recv()
        assert isinstance(frame, bytes) == self.binary
        message: dict[str, Any] = msgpack.unpackb(frame) if isinstance(frame, bytes) else json.loads(frame)
        self.order.append(message["type"])
        return message

    async def ask(self, type_: str, **fields: Any) -> dict[str, Any]:
        """Send a command; the reply to it. Pushes on the way are kept."""
        self.ref += 1
        await self.send({"type": type_, "ref": self.ref, **fields})
        while True:
            message = await self.next()
            if message.get("ref") == self.ref or (message["type"] == "error" and "ref" not in message):
                return message
            self.pushes.append(message)

    async def until(self, type_: str, **fields: Any) -> dict[str, Any]:
        """Read pushes until one is like this."""
        while True:
            message = await self.next()
            self.pushes.append(message)
            if message["type"] == type_ and all(message.get(key) == value for key, value in fields.items()):
                return message

    def text(self, request_id: str) -> str:
        """The answer's text, from the pages since the last snapshot."""
        out: list[str] = []
        for push in self.pushes:
            if push.get("request_id") != request_id:
                continue
            if push["type"] == "snapshot":
                out.clear()
            if push["type"] == "page":
                out += [event["text"] for event in push["events"] if event["type"] == "delta"]
        return "".join(out)

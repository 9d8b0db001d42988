"""People's programs: the real client library over its WebSocket, which moves between nodes and is started anew at times.

What a client is given is noted where it is taken: before its session takes a frame, for those frames it will apply.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from holdfast_client import Answer, Client, ClientError, connect
from holdfast_client.addresses import websocket_url
from holdfast_client.happenings import Happening
from holdfast_protocol import pushes as psh
from holdfast_protocol.errors import ProtocolError

from .history import History
from .nodes import Node, token_of

PATIENCE_S = 3600.0
AGAIN_S = 0.3  # before a program is started once more that found nobody
LOOK_S = 0.1  # between two looks whether it has given up
MOVE_S = (1.5, 6.0)  # how long it stays with a node
RELOADS = 0.25  # of the moves are a new program, which has forgotten everything


class Device:
    """One program of one person. `run` is its life; `client()` is the one that lives now."""

    def __init__(self, user: str, number: int, nodes: Sequence[Node], history: History, seed: int) -> None:
        self.name = f"{user}-{number}"
        self.user = user
        self.reconnects = 0
        self.reloads = 0
        self.moves = 0
        self._nodes = nodes
        self._history = history
        self._dice = random.Random(f"{seed}:{self.name}")
        self._codec = "msgpack" if number % 2 else "json"
        self._generation = 0
        self._client: Client | None = None
        self._calm = False

    @property
    def reader(self) -> str:
        """What it is called in the history: each start of the program is another reader."""
        return f"{self.name}.{self._generation}"

    async def client(self) -> tuple[Client, str]:
        """The client that lives now, and its name as a reader."""
        while (client := self._client) is None or client.failure is not None:  # noqa: ASYNC110 - a client that gives up tells nobody
            await asyncio.sleep(LOOK_S)
        return client, self.reader

    def calm(self) -> None:
        """Faults are over: connect anew, in case the old connection is in a black hole, and stay."""
        self._calm = True
        if self._client is not None:
            self._client.connection.abort()

    async def run(self) -> None:
        """Live until cancelled."""
        while True:
            self._generation += 1
            try:
                async with self._connect() as client:
                    self._client = client
                    await self._move(client)
            except ClientError as error:
                if (
                    self._client is not None
                ):  # it had been connected: then it must not give up for what happens here
                    self._history.add("gave_up", reader=self.reader, why=str(error))
                await asyncio.sleep(AGAIN_S)
            finally:
                if self._client is not None:
                    self.reconnects += self._client.connection.reconnects
                self._client = None

    def _connect(self) -> Client:
        node = self._dice.choice(self._nodes)
        client = connect(
            node.url,
            token=token_of(self.user),
            codec=self._codec,
            client=self.reader,
            patience_s=PATIENCE_S,
        )
        _tap(client, self.reader, self.user, self._history)
        return client

    async def _move(self, client: Client) -> None:
        """Stay a while with each node. Returns when the program is to be started anew. Raises: ConnectionLost."""
        while True:
            until = asyncio.get_running_loop().time() + self._dice.uniform(*MOVE_S)
            while asyncio.get_running_loop().time() < until:
                await asyncio.sleep(LOOK_S)
                if client.failure is not None:
                    raise client.failure
            if self._calm:
                continue
            if self._dice.random() < RELOADS:
                self.reloads += 1
                return
            self.moves += 1
            client.connection.url = websocket_url(self._dice.choice(self._nodes).url)
            client.connection.abort()


async def follow(device: Device, answer: Answer | None, client: Client, name: str, request: str) -> bool:
    """Follow a request to its end; False if the program was started anew before."""
    history = device._history
    try:
        if answer is None:
            answer = client.attach(request)
        await answer.result()
    except ClientError as error:
        reason = getattr(error, "reason", "")
        if reason:
            history.add("lost", reader=name, user=device.user, request=request, reason=reason)
            return True
        history.add("left", reader=name, user=device.user, request=request, why="reloaded")
        return False
    return True


def _tap(client: Client, reader: str, user: str, history: History) -> None:
    """Note what the client's session is about to apply."""
    session = client.session
    receive = session.receive
    decode = session.codec.decode_server

    def tapped(data: bytes | str) -> list[Happening]:
        try:
            message: Any = decode(data)
        except ProtocolError:
            message = None
        following = session.followings.get(getattr(message, "request_id", None) or "")
        told = following is not None and following.state == "live"
        if told and following is not None:
            _note(history, reader, user, message, staged=following.staging is not None)
        before = following.starts_over if following is not None else 0
        happenings = receive(data)
        if following is not None and following.starts_over > before:
            history.add("start_over", reader=reader, user=user, request=following.request_id)
        return happenings

    session.receive = tapped  # type: ignore[method-assign]


def _note(history: History, reader: str, user: str, message: Any, *, staged: bool) -> None:
    about: dict[str, Any] = {"reader": reader, "user": user, "request": message.request_id}
    match message:
        case psh.Snapshot():
            history.add("snapshot", **about, reason=message.reason)
        case psh.Page():
            history.add(
                "page", **about, start=message.start, next=message.next, events=message.events, staged=staged
            )
        case psh.CaughtUp():
            history.add(
                "caught_up", **about, cursor=message.cursor, parts=message.parts, bytes=message.bytes,
                digest=message.digest, sealed=message.sealed,
            )  # fmt: skip


async def stop(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """End tasks that would not end by themselves."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task

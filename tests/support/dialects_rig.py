"""The door of the five older dialects on a real port, over a memory store; answers are written by pens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse, WSMsgType

from holdfast_protocol import events as ev
from holdfast_server.agents.base import Profile
from holdfast_server.doors.dialects import DialectsDoor
from tests.support.dialect_story import TEXT, WORK
from tests.support.door import serving
from tests.support.http_door import Also, Caller, HttpRig
from tests.support.pens import Pen

WAIT_S = 10.0
ANSWER = "I made it."


class DialectsRig(HttpRig):
    """A node without agents, with this door too. `strict` is an agent with one option, `tone`."""

    def __init__(self, folder: Any, **more: Any) -> None:
        super().__init__(folder, **more)
        self.requests.profiles["strict"] = Profile(name="strict", options=frozenset({"tone"}))  # type: ignore[index]
        self.door = Also(self.door, DialectsDoor(self.desk))  # type: ignore[assignment]

    async def bare_pen(self, request_id: str) -> Pen:
        """The pen of a submitted request, with nothing written."""
        found: Any = None
        while found is None or found.log.key.request_id != request_id:
            await self.store.claimable()
            found = await self.store.claim()
        pen: Any = Pen(self, found.log)  # type: ignore[arg-type]
        pen._claim, pen._writer = found, self.store.writer(found)
        return pen  # type: ignore[no-any-return]


@asynccontextmanager
async def visiting(rig: DialectsRig) -> AsyncIterator[Caller]:
    """The rig, listening, and ann's way to it."""
    async with serving(rig), ClientSession() as session:
        yield Caller(rig, session)


async def begin(pen: Pen) -> None:
    """The first attempt, with nothing to show yet."""
    claim: Any = pen._claim
    pen.attempt += 1
    await pen.put(ev.Started(at=pen.desk.now_ms(), attempt=pen.attempt, term=claim.term, nonce=claim.nonce))


async def work(pen: Pen) -> None:
    """The second step of four, a tool, a source, the agent's values; then the text, in two deltas."""
    for event in (*WORK, *TEXT):
        await pen.put(event)


async def complete(pen: Pen) -> None:
    """The good end."""
    await pen.put(ev.Completed(at=pen.desk.now_ms(), code="stop"))


async def events_of(response: ClientResponse) -> AsyncIterator[tuple[str | None, Any]]:
    """Each event's id, if it has one, and its data. Another field than these is an error."""
    name, data = None, None
    async for raw in response.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("id: "):
            name = line[4:]
        elif line.startswith("data: "):
            data = json.loads(line[6:])
        elif not line and data is not None:
            yield name, data
            name, data = None, None
        else:
            assert not line or line.startswith(":"), line


async def whole(response: ClientResponse) -> list[tuple[str | None, Any]]:
    """All events of a stream that ends."""
    assert response.status == 200, await response.text()
    async with asyncio.timeout(WAIT_S):
        return [event async for event in events_of(response)]


async def snapshots_of(ws: ClientWebSocketResponse) -> list[Any]:
    """What a socket says until it is closed."""
    said = []
    async with asyncio.timeout(WAIT_S):
        while (message := await ws.receive()).type is WSMsgType.TEXT:
            said.append(json.loads(message.data))
    return said

"""All doors on one real port, and one answer to which something happens: what each door tells who was there, who comes back
to the place it had, and who comes for the first time.

    async with table(folder) as rig:
        told = await tell(rig, SSE_READER, superseded_whole)
        told.there, told.back, told.new            # what three readers were told: `Line`s
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, web

from holdfast_protocol import events as ev
from holdfast_server.doors.ai_sdk.door import AiSdkDoor
from holdfast_server.doors.dialects import DialectsDoor
from holdfast_server.doors.openai import OpenAIDoor
from holdfast_server.stores.base import key_of
from tests.support.door import serving
from tests.support.http_door import Caller, HttpRig, come_true
from tests.support.journals import ANN
from tests.support.pens import Pen

WAIT_S = 10.0
KEEP_ALIVE_S = 0.05
ID, CHAT, QUESTION = "r1", "c1", "q1"
KEPT, HALF = "One ", "half"
"""What is shown before anything happens: a text that a checkpoint keeps, and one that it does not."""


class TableRig(HttpRig):
    """A node without agents, with every door."""

    def __init__(self, folder: Path, **desk: Any) -> None:
        super().__init__(folder, reception={"keep_alive_s": KEEP_ALIVE_S}, desk=desk)
        self.door = _All(self.door, OpenAIDoor(self.desk), AiSdkDoor(self.desk), DialectsDoor(self.desk))  # type: ignore[assignment]
        self.session: Any = None
        self.ann: Any = None
        self.pen_: Any = None

    async def asked(self, request_id: str = ID, chat_id: str | None = CHAT) -> None:
        """A request, in its chat."""
        place = {} if chat_id is None else {"chat_id": chat_id, "message_id": QUESTION}
        await self.ann.submit(request_id, **place)

    async def begun(self, request_id: str = ID) -> Pen:
        """Its answer, half shown, behind a checkpoint."""
        self.pen_ = pen = await self.pen(request_id)
        now = self.now_ms()
        await pen.say(KEPT)
        await pen.put(ev.PartDone(at=now, part=0), ev.Checkpoint(at=now))
        await self.part(HALF, done=False)
        return pen

    async def part(self, text: str, *, done: bool = True) -> None:
        """Another text."""
        pen, now = self.pen_, self.now_ms()
        pen.part = len(pen.log.fold().parts)
        await pen.put(ev.PartStarted(at=now, part=pen.part, kind="text"))
        await pen.say(text)
        if done:
            await pen.put(ev.PartDone(at=now, part=pen.part))

    async def anew(self, keep: ev.Keep, reason: ev.Reason = "retry") -> None:
        """The next attempt."""
        pen = self.pen_
        pen.attempt += 1
        await pen.put(
            ev.Started(
                at=self.now_ms(), attempt=pen.attempt, term=pen._claim.term, nonce=pen._claim.nonce, keep=keep,
                reason=reason,
            )
        )  # fmt: skip

    async def taken_up(self) -> None:
        """The next term, of the same attempt."""
        pen = self.pen_
        await self.store.claimable()
        pen._claim = claim = await self.store.claim()
        assert claim is not None
        assert claim.log is pen.log
        pen._writer = self.store.writer(claim)
        pen.attempt -= 1
        await self.anew("all", claim.how)

    async def completed(self) -> None:
        """The good end."""
        await self.pen_.put(ev.Completed(at=self.now_ms(), code="stop"))


class _All:
    """The doors of a rig, and others before them."""

    def __init__(self, first: Any, *others: Any) -> None:
        self._first = first
        self._others = others

    def add_routes(self, app: web.Application) -> None:
        for door in self._others:
            door.add_routes(app)
        self._first.add_routes(app)

    async def start(self) -> None:
        await self._first.start()

    async def close(self, spread_s: float) -> None:
        await self._first.close(spread_s)


@asynccontextmanager
async def table(folder: Path, **desk: Any) -> AsyncIterator[TableRig]:
    """The rig, listening, with ann's way to it."""
    rig = TableRig(folder, **desk)
    async with (
        serving(rig),
        ClientSession() as session,
        ClientSession(headers={"Authorization": "Bearer ann-token"}) as anns,
    ):
        rig.ann, rig.session = Caller(rig, session), anns
        yield rig


# -- who reads ---------------------------------------------------------------------------------------------------


@dataclass
class Line:
    """One reader's line. `frames`: what came, as values; `alive`: how often it was told that the line is; `place`: where it
    can come back to, if anywhere; `status`: what an HTTP call was answered with;
    `reading`: what the reader makes of it, if it keeps something."""

    rig: TableRig
    reader: Reader
    place: Any = None
    frames: list[Any] = field(default_factory=list)
    alive: int = 0
    status: int = 200
    code: int | None = None
    task: Any = None
    reading: Any = None

    def put(self, frame: Any) -> None:
        """Something came."""
        self.frames.append(frame)

    def says(self, text: str) -> bool:
        """Whether a frame has this."""
        return any(text in json.dumps(frame) for frame in self.frames)

    async def waits(self) -> None:
        """While a person is waited for the line goes on, and says so or is seen to live."""
        if self.task is None:
            return
        alive, shows = self.alive, self.reader.waits
        await come_true(lambda: self.task.done() or (self.says(shows) if shows else self.alive > alive + 2))
        assert not self.task.done(), self.frames

    async def sse(self, response: ClientResponse) -> AsyncIterator[tuple[dict[str, str], Any]]:
        """A stream's events: their fields, and their data as a value."""
        self.status = response.status
        assert response.status == 200, await response.text()
        fields: dict[str, str] = {}
        async for raw in response.content:
            line = raw.decode().rstrip("\n")
            if line.startswith(":"):
                self.alive += 1
            elif line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                data = fields.pop("data")
                yield fields, data if data == "[DONE]" else json.loads(data)
                fields = {}


Happening = Callable[["TableRig", Line], Awaitable[None]]
"""What happens to the answer of a rig, before the eyes of a reader."""


@dataclass(frozen=True)
class Reader:
    """How a door is read. `read` reads to the end, from the line's place if it has one; `shows` is in what it is told once it
    has come to what is there, `waits` in what it is told while a person is waited for (empty: nothing)."""

    read: Callable[[Line], Awaitable[None]]
    shows: str = HALF
    waits: str = ""
    ask: Callable[[TableRig], Awaitable[str]] | None = None


async def begun_by(rig: TableRig, request_id: str) -> Pen:
    """The answer, half shown, of a request that a call is just making."""
    async with asyncio.timeout(WAIT_S):
        while rig.journal.live(key_of(ANN, request_id)) is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)
        return await rig.begun(request_id)


@dataclass
class Told:
    """What three readers were told: one who was `there`, one who comes `back` to where that one was when it happened, and one
    who is `new`."""

    there: Line
    back: Line
    new: Line


async def tell(rig: TableRig, reader: Reader, happening: Happening) -> Told:
    """Let it happen before the eyes of one reader; then let the others come."""
    request_id = ID
    if reader.ask is not None:
        request_id = await reader.ask(rig)
    else:
        await rig.asked()
    await rig.begun(request_id)
    there = Line(rig, reader)
    task: asyncio.Task[None] = asyncio.create_task(reader.read(there))  # type: ignore[arg-type]
    there.task = task
    try:
        async with asyncio.timeout(WAIT_S):
            await come_true(lambda: task.done() or there.says(reader.shows))
            assert not task.done() or task.result() is None, there.frames
            place = there.place
            await happening(rig, there)
            await task
    finally:
        task.cancel()
        await asyncio.wait([task])
    return Told(there, await read(rig, reader, place), await read(rig, reader))


async def read(rig: TableRig, reader: Reader, place: Any = None) -> Line:
    """What somebody is told who comes now."""
    line = Line(rig, reader, place)
    async with asyncio.timeout(WAIT_S):
        await reader.read(line)
    return line


def polling(call: Callable[[Line], Awaitable[Any]]) -> Callable[[Line], Awaitable[None]]:
    """A reader that asks again and again until the request has ended, and then once more."""

    async def poll(line: Line) -> None:
        log = line.rig.pen_.log
        while True:
            over = log.sealed
            frame = await call(line)
            line.alive += 1
            if not line.frames or line.frames[-1] != frame:
                line.put(frame)
            if over:
                return
            await asyncio.sleep(KEEP_ALIVE_S / 5)

    return poll

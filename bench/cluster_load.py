"""What a stand of nodes is made to do: answers with readers on this node and that, requests one after another, silence."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from .cluster_rig import OWNERS, Stand, Usage, token
from .nodes import quiet_client
from .paced import DELTA_CHARS, FILL, STAMP_CHARS
from .report import Scale
from .streams import cancel, submission
from .wire import Socket, crowd, texts_of_pages

RATE = 50
SUBMIT_WAIT_S = 30.0
STARTS_PER_S = 100
"""Answers begin no faster: what is measured is how they go on."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """A stretch of answers. `due`: deltas that should have been made meanwhile; `made`: that came, to each reader."""

    used: Usage
    due: float
    made: float
    late_ms: list[float]

    def us(self, cpu_s: float) -> float:
        """CPU µs of each delta."""
        return cpu_s / max(1.0, self.made) * 1e6

    def each(self, count: float) -> float:
        """Of something, per delta."""
        return count / max(1.0, self.made)


async def enter(stand: Stand, node: int, owner: int) -> Socket:
    """A connection of that user's to that node."""
    socket = await Socket.open(stand.nodes[node].port)
    await socket.ask({"type": "hello", "ref": 1, "token": token(owner % OWNERS)}, b'"welcome"')
    return socket


async def stream(
    stand: Stand,
    answers: int,
    readers: Sequence[int],
    scale: Scale,
    *,
    agent: str = "paced",
    rate: float = RATE,
) -> Streamed:
    """So many answers at a rate, each with a reader on each of these nodes; asked for through the first. Where `readers` is
    empty each answer has one reader, by turns on every node."""
    start_s = max(scale.start_s, answers / STARTS_PER_S)
    deltas = int((scale.streamed_s + start_s + 2) * rate)
    width = len(stand.nodes)
    with quiet_client():
        first: dict[str, Socket] = {}
        others: list[tuple[str, Socket]] = []
        for number in range(answers):
            request_id = str(uuid.uuid4())
            places = list(readers) or [number % width]
            first[request_id] = await enter(stand, places[0], number)
            others += [(request_id, await enter(stand, place, number)) for place in places[1:]]
        sockets = [*first.values(), *(socket for _, socket in others)]
        loop = asyncio.get_running_loop()
        began = loop.time()
        asked = []
        for number, (request_id, socket) in enumerate(first.items()):
            wanted = submission(agent, request_id=request_id, rate=rate, deltas=deltas)
            if agent == "model":
                request = wanted["request"]
                assert isinstance(request, dict)
                del request["options"]
            asked.append(asyncio.ensure_future(socket.ask(wanted, b'"submitted"', wait_s=SUBMIT_WAIT_S)))
            await asyncio.sleep(max(0.0, began + start_s * (number + 1) / answers - loop.time()))
        if others:
            await asyncio.gather(*asked)
        for request_id, socket in others:
            socket.send({"type": "subscribe", "ref": 2, "request_id": request_id})
        async with crowd(sockets) as watched:
            await asyncio.sleep(scale.settle_s)
            before, from_ = await stand.usage(), loop.time()
            await asyncio.sleep(scale.measured_s)
            after, to = await stand.usage(), loop.time()
            await asyncio.sleep(scale.settle_s / 2)
        await asyncio.gather(*asked, return_exceptions=True)  # who was not answered is missing in `made`
        await cancel(first)
        for socket in sockets:
            socket.close()
    came = sum(data.count(FILL) for socket in sockets for at, data in socket.chunks if from_ <= at < to)
    return Streamed(
        after.since(before).without(stand.idle),
        answers * rate * (to - from_),
        came * answers / len(sockets),
        [] if agent == "model" else _lateness(watched, from_, to),
    )


def _lateness(sockets: Sequence[Socket], first: float, last: float) -> list[float]:
    """How many ms after it was made each delta came."""
    late = []
    for socket in sockets:
        text = ""
        for at, _, more in texts_of_pages(socket):
            text += more
            while len(text) >= DELTA_CHARS:
                if first <= at < last:
                    late.append((at - float(text[:STAMP_CHARS])) * 1000)
                text = text[DELTA_CHARS:]
    return late


async def idle(stand: Stand, seconds: float) -> Usage:
    """What is used while nobody asks for anything; the stand remembers it."""
    before = await stand.usage()
    await asyncio.sleep(seconds)
    stand.idle = (await stand.usage()).since(before)
    return stand.idle


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests, one after another on each connection."""

    used: Usage
    requests: int
    wait_ms: list[float]


async def requests(
    stand: Stand, count: int, callers: int, deltas: int, after_s: float, *, chat: bool = False
) -> Asked:
    """So many short answers, `chat`: each in a new chat; what they used, up to so long after the last one, when it is packed."""
    waits: list[float] = []

    async def ask(number: int) -> None:
        socket = await enter(stand, number % len(stand.nodes), number)
        for _ in range(count // callers):
            began = time.monotonic()
            asked = submission("paced", rate=0, deltas=deltas)
            if chat:
                request = asked["request"]
                assert isinstance(request, dict)
                del request["messages"]
                request.update(chat_id=str(uuid.uuid4()), text="go")
            waits.append((await socket.ask(asked, b'"sealed":true') - began) * 1000)
            socket.forget()
        socket.close()

    with quiet_client():
        before = await stand.usage()
        await asyncio.gather(*map(ask, range(callers)))
        await asyncio.sleep(after_s)
        after = await stand.usage()
    return Asked(after.since(before).without(stand.idle), count // callers * callers, waits)


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes of Redis for each answer, live and ended; and what live answers use, a second and answer, while they are silent."""

    live: float
    ended: float
    silent: Usage
    text_bytes: int


async def keep(stand: Stand, answers: int, deltas: int, silent_s: float, packed_s: float) -> Kept:
    """Let answers speak and fall silent, look what they hold, end them, look again when they are packed."""
    with quiet_client():
        sockets = {str(uuid.uuid4()): await enter(stand, 0, number) for number in range(answers)}
        before = await stand.usage()
        for request_id, socket in sockets.items():
            socket.send(
                submission("lingering", request_id=request_id, rate=RATE, deltas=deltas, silent_s=600)
            )
        await asyncio.gather(
            *(socket.until(FILL, count=deltas) for socket in sockets.values()), return_exceptions=False
        )
        await asyncio.sleep(1.0)
        spoken = await stand.usage()
        await asyncio.sleep(silent_s)
        silent = await stand.usage()
        await cancel(sockets)
        for socket in sockets.values():
            socket.close()
        await asyncio.sleep(packed_s)
        after = await stand.usage()
    return Kept(
        (spoken.memory - before.memory) / answers,
        (after.memory - before.memory) / answers,
        silent.since(spoken).without(stand.idle),
        deltas * DELTA_CHARS,
    )

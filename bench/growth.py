"""How costs grow when the work grows tenfold: an answer's length, its readers, the answers at once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from .nodes import Node, holdfast, quiet_client
from .report import Report, Scale, Table, spread, times
from .streams import cancel, one, submission
from .wire import Socket

LENGTH_RATE = 1000  # deltas a second of the one long answer: a run takes seconds, and most deltas stay events of their own
SQUARE = (
    20.0  # a cost that grew with the square would be a hundredfold; what is beyond this is on the way there
)

METHOD = f"""The CPU time of the whole server process at a size and at ten times that size, by turns. 10 is linear; less means that
something is shared; a cost that grew with the square would be 100. Length: one answer at {LENGTH_RATE:,} deltas a second with one
reader, from submit to seal. Readers of one stream, and answers with a reader each: a stretch of seconds at 50 deltas a second."""

Cost = Callable[[int], Awaitable[float]]


async def run(scale: Scale) -> Report:
    """The whole scenario."""
    async with holdfast() as node:

        async def length(deltas: int) -> float:
            return await _length(node, deltas, scale.pick(LENGTH_RATE, 2000))

        async def readers(count: int) -> float:
            return await _readers(node, count, scale)

        async def answers(count: int) -> float:
            level = await one("Holdfast", node, count, scale)
            return level.core * scale.measured_s

        return await grown(
            Report("Growth", METHOD),
            {
                "deltas of one answer": (length, scale.pick(1_000, 100)),
                "readers of one stream": (readers, scale.pick(10, 2)),
                "answers at once": (answers, scale.pick(50, 2)),
            },
            repeats=scale.pick(2, 1),
        )


async def grown(
    report: Report, costs: dict[str, tuple[Cost, int]], *, repeats: int, unit: str = "CPU ms"
) -> Report:
    """Measure each cost at its size and at ten times that, and say how it grew."""
    table = Table(
        f"{unit}; median and range", ["what grows", "from", "to", "cost before", "cost after", "ratio"]
    )
    for name, (cost, size) in costs.items():
        await cost(size)  # caches, pools and imports are not what grows
        few, many = [], []
        for _ in range(repeats):
            few.append(await cost(size) * 1000)
            many.append(await cost(size * 10) * 1000)
        ratio = sorted(many)[len(many) // 2] / sorted(few)[len(few) // 2]
        table.add(name, f"{size:,}", f"{size * 10:,}", spread(few), spread(many), f"{ratio:.1f}")
        verdict = (
            "grows faster than linear"
            if ratio > SQUARE
            else "is not above linear"
            if ratio <= 13
            else "is near linear"
        )
        report.reading.append(f"Tenfold {name}: {times(ratio)} the cost; it {verdict}.")
    report.tables.append(table)
    return report


async def _length(node: Node, deltas: int, rate: int) -> float:
    """CPU seconds of an answer of that length."""
    with quiet_client():
        socket = await Socket.open(node.port)
        cpu = node.cpu_s
        await socket.ask(submission("paced", rate=rate, deltas=deltas), b'"sealed":true')
        used = node.cpu_s - cpu
        socket.close()
    return used


async def _readers(node: Node, count: int, scale: Scale) -> float:
    """CPU seconds of a stretch of one stream with so many readers."""
    request_id = str(uuid.uuid4())
    with quiet_client():
        sockets = [await Socket.open(node.port) for _ in range(count)]
        await sockets[0].ask(submission("paced", request_id=request_id, rate=50, deltas=3000), b'"submitted"')
        for socket in sockets[1:]:
            socket.send({"type": "subscribe", "ref": 2, "request_id": request_id})
        await asyncio.sleep(scale.settle_s)
        cpu = node.cpu_s
        await asyncio.sleep(scale.measured_s)
        used = node.cpu_s - cpu
        await cancel({request_id: sockets[0]})
        for socket in sockets:
            socket.close()
    return used

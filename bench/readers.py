"""What a delivered delta costs: one reader, many readers of one stream, many streams; over the floor of plain sockets."""

from __future__ import annotations

import asyncio
import uuid
from statistics import median

from .nodes import Node, holdfast, program, quiet_client
from .paced import FILL
from .report import Report, Scale, Table, spread, times
from .streams import cancel, submission
from .wire import Socket, crowd

RATE = 50
FRAME_BYTES = 190  # what Holdfast's page with one delta of 40 characters weighs

METHOD = f"""CPU time of the server's process (all its threads, making and journal included) divided by the deltas that its clients
got, at {RATE} deltas a second and stream. The floor (bench/floor.py) has nothing to make, to keep or to decide: a timer per
stream writes a prebuilt frame of {FRAME_BYTES} bytes to plain asyncio transports. Both by turns, on the same core."""


async def run(scale: Scale) -> Report:
    """The whole scenario."""
    shapes = ((1, 1), (1, 3), (3, 1)) if scale.quick else ((1, 1), (1, 10), (1, 500), (50, 1), (500, 1))
    report = Report("Cost per delivered delta", METHOD)
    table = Table(
        "CPU µs per delivered delta; median and range",
        ["streams × readers", "Holdfast", "floor", "Holdfast / floor"],
    )
    cost: dict[tuple[int, int], tuple[list[float], list[float]]] = {shape: ([], []) for shape in shapes}
    async with holdfast() as ours:
        for streams, readers in shapes:
            arguments = ("--streams", streams, "--rate", RATE, "--frame-bytes", FRAME_BYTES)
            for _ in range(scale.pick(2, 1)):
                cost[streams, readers][0].append(await _ours(ours, streams, readers, scale))
                async with program("bench.floor", *arguments, measured=True) as floor:
                    cost[streams, readers][1].append(await _floor(floor, streams, readers, scale))
    middle: dict[tuple[int, int], tuple[float, float]] = {}
    for shape, (mine, least) in cost.items():
        middle[shape] = median(mine), median(least)
        ratio = times(middle[shape][0] / middle[shape][1])
        table.add(f"{shape[0]} × {shape[1]}", spread(mine), spread(least), ratio)
    report.tables.append(table)
    few, fan, many = shapes[0], shapes[-2] if scale.quick else shapes[2], shapes[-1]
    fanned = times(middle[fan][0] / middle[fan][1])
    alone = times(middle[many][0] / middle[many][1])
    lonely = times(middle[few][0] / middle[many][0])
    report.reading.append(
        f"A stream with {fan[1]} readers costs {fanned} the floor per delivered delta: the page is encoded once and the same bytes "
        "go to every reader."
    )
    report.reading.append(
        f"{many[0]} streams with a reader each cost {alone} the floor: there every delta is made, journalled, encoded and written "
        f"by itself. One lonely stream costs {lonely} as much per delta as one of many: it wakes up and commits for itself alone."
    )
    return report


async def _ours(node: Node, streams: int, readers: int, scale: Scale) -> float:
    """CPU µs per delivered delta of Holdfast."""
    deltas = 60 * RATE  # longer than it is looked at
    with quiet_client():
        sockets = [await Socket.open(node.port) for _ in range(streams * readers)]
        first = {str(uuid.uuid4()): sockets[number] for number in range(streams)}
        await asyncio.gather(
            *(
                socket.ask(
                    submission("paced", request_id=request_id, rate=RATE, deltas=deltas), b'"submitted"'
                )
                for request_id, socket in first.items()
            )
        )
        for number, request_id in enumerate(first):
            for other in sockets[number + streams :: streams]:
                other.send({"type": "subscribe", "ref": 2, "request_id": request_id})
        delivered, used = await _measure(node, sockets, scale)
        await cancel(first)
        for socket in sockets:
            socket.close()
    count = sum(data.count(FILL) for chunks in delivered for _, data in chunks)
    return used / max(1, count) * 1e6


async def _floor(node: Node, streams: int, readers: int, scale: Scale) -> float:
    """CPU µs per delivered frame of the floor."""
    with quiet_client():
        sockets = [await Socket.open(node.port) for _ in range(streams * readers)]
        sockets[0].send({})
        delivered, used = await _measure(node, sockets, scale)
        for socket in sockets:
            socket.close()
    count = sum(len(data) for chunks in delivered for _, data in chunks) / FRAME_BYTES
    return used / max(1.0, count) * 1e6


async def _measure(
    node: Node, sockets: list[Socket], scale: Scale
) -> tuple[list[list[tuple[float, bytes]]], float]:
    """What came in a stretch of time, and the CPU seconds that it took."""
    await asyncio.sleep(scale.settle_s)
    async with crowd(sockets):
        for socket in sockets:
            socket.forget()
        cpu = node.cpu_s
        await asyncio.sleep(scale.measured_s)
        used = node.cpu_s - cpu
    return [list(socket.chunks) for socket in sockets], used

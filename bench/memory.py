"""What is held in memory for a connection that is silent, and for an answer that is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .nodes import Node, holdfast, program, quiet_client
from .report import Report, Scale, Table
from .streams import submission
from .wire import Socket

SETTLE_S = 0.7
GOAL_KIB = 25

Begin = Callable[[Socket], Awaitable[None]]

METHOD = """The resident memory of the server's process while there are more and more of a thing; the figure is the slope between the
first and the last step, so that what is there anyway does not count. Kernel memory of sockets is not in it. Idle: the
connection has greeted and sends nothing. Answer: an agent that has said one thing and waits, with one reader on a connection
of its own (whose slope is taken off). The peer (bench/peer.py) has a queue and a task per connection."""


async def run(scale: Scale) -> Report:
    """The whole scenario."""
    steps = (20, 40) if scale.quick else (500, 1000, 1500, 2000)
    answers = (10, 20) if scale.quick else (200, 400, 600, 800)
    report = Report("Memory", METHOD)
    table = Table("KiB each", ["what", "steps", "MiB at each step", "KiB each"])
    async with holdfast() as node, program("bench.peer", measured=True) as peer:
        idle = await _slope(table, "idle connection, Holdfast", node, steps, hello)
        theirs = await _slope(table, "idle connection, peer", peer, steps, waits)
    async with holdfast() as node:
        await _slope(Table("", []), "", node, (50,), begin)  # what the first answers need once
        live = await _slope(table, "live answer and its connection", node, answers, begin)
    table.add("live answer alone", "", "", f"{live - idle:.1f}")
    report.tables.append(table)
    report.reading += [
        f"An idle connection holds {idle:.1f} KiB (goal: under {GOAL_KIB}); the peer's {theirs:.1f} KiB.",
        f"A live answer holds {live - idle:.1f} KiB beside its connection: three tasks, the agent's generator, the journal.",
    ]
    return report


async def _slope(table: Table, name: str, node: Node, steps: tuple[int, ...], begin_one: Begin) -> float:
    """KiB per thing."""
    held: list[tuple[int, int]] = []
    sockets: list[Socket] = []
    with quiet_client():
        for step in steps:
            while len(sockets) < step:
                socket = await Socket.open(node.port)
                sockets.append(socket)
                await begin_one(socket)
            await asyncio.sleep(SETTLE_S)
            held.append((step, node.rss_bytes))
        for socket in sockets:
            socket.close()
        await asyncio.sleep(SETTLE_S)
    (first, low), (last, high) = held[0], held[-1]
    each = (high - low) / max(1, last - first) / 1024
    if table.head:
        at = ", ".join(f"{size / 1024**2:.0f}" for _, size in held)
        table.add(name, ", ".join(map(str, steps)), at, f"{each:.1f}")
    return each


async def hello(socket: Socket) -> None:
    """A connection that has greeted."""
    await socket.ask({"type": "hello", "ref": 1}, b'"welcome"')


async def waits(_: Socket) -> None:
    """A connection that was accepted."""


async def begin(socket: Socket) -> None:
    """An answer that has begun, and is silent for the rest of the scenario."""
    await socket.ask(submission("quiet", silent_s=600), b'"It begins."')

"""Coming back to a long answer: a snapshot and its tail, beside replaying it event by event."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from holdfast_protocol import events as ev
from holdfast_server.stores.base import Key, Record
from holdfast_server.stores.sqlite import SqliteStore

from .nodes import Node, holdfast, program, quiet_client
from .paced import delta
from .report import Report, Scale, Table, spread, times
from .wire import Socket

REQUEST_ID = "a-long-answer"
PAGE_EVENTS = 500  # `read_events` by default

METHOD = f"""A finished answer of 10,000 deltas of 40 characters, each an event of its own in the journal. Clients that have nothing
ask for it, alone and 100 at once; the time is from the first question to the last answer's last byte at the last client,
all connections open before. Snapshot: `subscribe`, up to the verified `caught_up`. Paged log: `read_events`, {PAGE_EVENTS} unmerged
events a page, asked for one after another. Event by event: what the peer (bench/peer.py) does that keeps events in memory
and sends one frame for each. By turns; the server's cache of the encoded snapshot is warm after the first."""

Way = Callable[[Node, list[Socket], int], Awaitable[float]]


async def run(scale: Scale) -> Report:
    """The whole scenario."""
    deltas, crowd = scale.pick(10_000, 500), scale.pick(100, 5)
    report = Report("Resume of a long answer", METHOD)
    table = Table(
        f"An answer of {deltas:,} deltas",
        ["clients", "way", "ms until all have it", "server CPU ms", "time / snapshot", "CPU / snapshot"],
    )
    ways: dict[str, tuple[str, Way]] = {
        "snapshot and tail": ("ours", _snapshot),
        "log, paged": ("ours", _paged),
        "peer, event by event": ("peer", _events),
    }
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as made:
        await write(Path(made) / "data", deltas)
        async with (
            holdfast(folder=Path(made), store="compact_every_s = 3600.0") as ours,
            program("bench.peer", measured=True) as peer,
        ):
            nodes = {"ours": ours, "peer": peer}
            for clients in (1, crowd):
                wall: dict[str, list[float]] = {name: [] for name in ways}
                cpu: dict[str, list[float]] = {name: [] for name in ways}
                for turn in range(scale.pick(4 if clients == 1 else 3, 1)):
                    for name, (where, way) in ways.items():
                        took, used = await _one(nodes[where], way, clients, deltas)
                        if turn or scale.quick:
                            wall[name].append(took * 1000)
                            cpu[name].append(used * 1000)
                first = next(iter(ways))
                for name in ways:
                    table.add(
                        str(clients), name, spread(wall[name]), spread(cpu[name]),
                        times(_middle(wall[name]) / _middle(wall[first])),
                        times(_middle(cpu[name]) / _middle(cpu[first])),
                    )  # fmt: skip
                slow = "peer, event by event"
                report.reading.append(
                    f"{clients} at once: event by event takes {times(_middle(wall[slow]) / _middle(wall[first]))} the time and "
                    f"{times(_middle(cpu[slow]) / _middle(cpu[first]))} the CPU of a snapshot (goal: at least 20×)."
                )
    report.tables.append(table)
    return report


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


async def _one(node: Node, way: Way, clients: int, deltas: int) -> tuple[float, float]:
    """Seconds and CPU seconds of one repetition."""
    with quiet_client():
        sockets = [await Socket.open(node.port) for _ in range(clients)]
        cpu, began = node.cpu_s, time.monotonic()
        last = await way(node, sockets, deltas)
        used = node.cpu_s - cpu
        for socket in sockets:
            socket.close()
    return last - began, used


async def _snapshot(_: Node, sockets: list[Socket], deltas: int) -> float:
    command = {"type": "subscribe", "ref": 1, "request_id": REQUEST_ID}
    ends = await asyncio.gather(*(socket.ask(command, b'"sealed":true') for socket in sockets))
    assert all(socket.received_bytes > deltas * 40 for socket in sockets)
    return max(ends)


async def _paged(_: Node, sockets: list[Socket], deltas: int) -> float:
    async def read(socket: Socket) -> float:
        at = 0.0
        for start in range(0, deltas, PAGE_EVENTS):
            command = {
                "type": "read_events", "ref": start, "request_id": REQUEST_ID, "start": start, "limit": PAGE_EVENTS,
            }  # fmt: skip
            # the reply has ended when the next command's has begun; a ping's is short
            socket.send(command)
            at = await socket.ask({"type": "ping", "ref": start}, b'"pong"')
        return at

    ends = await asyncio.gather(*(read(socket) for socket in sockets))
    assert all(socket.received_bytes > deltas * 40 for socket in sockets)
    return max(ends)


async def _events(_: Node, sockets: list[Socket], deltas: int) -> float:
    asked = {"id": REQUEST_ID, "replay": deltas}
    ends = await asyncio.gather(*(socket.ask(asked, b'"end": true', wait_s=120) for socket in sockets))
    assert all(socket.received_bytes > deltas * 40 for socket in sockets)
    return max(ends)


async def write(folder: Path, deltas: int) -> None:
    """A data folder with a sealed journal whose every delta is an event."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    store = SqliteStore(folder)
    await store.start()
    try:
        at = time.time_ns() // 1_000_000
        record = Record(key=Key("", "local", REQUEST_ID), body_hash=b"", agent="paced", created_at=at)
        await store.open(record, ev.Accepted(at=at, nonce="0", agent="paced"))
        claim = await store.claim()
        assert claim is not None
        writer = store.writer(claim)
        writer.put(ev.Started(at=at, attempt=1, term=claim.term, nonce=claim.nonce))
        writer.put(ev.PartStarted(at=at, part=0, kind="text"))
        for number in range(deltas):
            writer.put(ev.Delta(at=at, part=0, text=delta(float(number))))
            await writer.flush()  # what is put between two commits would be merged
        writer.put(ev.PartDone(at=at, part=0))
        writer.put(ev.Completed(at=at, code="stop"))
        await writer.flush()
    finally:
        await store.close()

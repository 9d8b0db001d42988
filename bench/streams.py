"""How many live answers one core holds: more and more of them, until what is made does not arrive in time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from .nodes import Node, holdfast, program, quiet_client
from .paced import DELTA_CHARS, FILL, STAMP_CHARS
from .report import Report, Scale, Table, quantile, times
from .wire import Socket, crowd, texts_of_pages, texts_of_peer

RATE = 50
END_WAIT_S = 8.0  # for the ends of answers that are cancelled, when there were too many
PACE = 0.95  # of what should be made must arrive
P99_MS = 250.0  # later than this, people see that it stutters

METHOD = f"""Answers that are made in the server's process at {RATE} deltas a second each (bench/paced.py), one connection per
answer, the server on one core with SQLite. Up to 50 of the connections, spread over all, are read at once and give the latency; the
others are emptied five times a second, so that the client, which is Python too, is not what gives up first. Each delta carries the time at which it was made. A level holds while at least
{PACE:.0%} of what should have been made has arrived, and 99 % of it within {P99_MS:.0f} ms; levels double until one does
not, then the gap is halved twice. The peer (bench/peer.py) makes the same deltas and sends each through a queue and a task per
connection, without keeping anything; both by turns. CPU is the whole process: making, journal, delivery, sending."""


@dataclass(frozen=True, slots=True)
class Level:
    """What happened with so many answers."""

    answers: int
    arrived: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    core: float

    @property
    def holds(self) -> bool:
        """Whether it kept pace."""
        return self.arrived >= PACE and self.p99_ms <= P99_MS


async def run(scale: Scale) -> Report:
    """The whole scenario."""
    report = Report("Answers held on one core", METHOD)
    table = Table(
        "Levels, in the order in which they were tried",
        ["answers", "system", "arrived", "p50 ms", "p99 ms", "CPU µs per delta", "of the core", "holds"],
    )
    most = {"Holdfast": 0, "peer": 0}
    least = {"Holdfast": scale.pick(16_384, 64), "peer": scale.pick(16_384, 64)}
    wanted = {"Holdfast": scale.pick(250, 16), "peer": scale.pick(250, 16)}
    costs: tuple[float, float] | None = None  # of ours: at the first level that held, and at the last
    async with holdfast() as ours, program("bench.peer", measured=True) as peer:
        for _ in range(scale.pick(7, 2)):
            for name, node in (("Holdfast", ours), ("peer", peer)):
                if wanted[name] <= most[name]:
                    continue
                level = await one(name, node, wanted[name], scale)
                _row(table, name, level)
                if level.holds:
                    most[name] = level.answers
                    if name == "Holdfast":
                        costs = (costs[0] if costs else level.cpu_us, level.cpu_us)
                else:
                    least[name] = level.answers
                wanted[name] = _next(most[name], least[name], level.answers)
    report.tables.append(table)
    report.reading.append(
        f"One core held {most['Holdfast']:,} answers of Holdfast's, and {most['peer']:,} of the peer's, which keeps nothing "
        f"({times(most['Holdfast'] / max(1, most['peer']))})."
    )
    if costs is not None:
        report.reading.append(
            f"A delta of Holdfast's cost {costs[0]:.0f} µs at the first level and {costs[1]:.0f} µs at the most that held: what comes while a "
            "commit is in flight shares the next commit, page and write."
        )
    return report


def _next(most: int, least: int, tried: int) -> int:
    """What to try now: double while everything held, else halve the gap down to an eighth of what held."""
    if tried == most and 2 * most < least:
        return 2 * most
    if not most:
        return least // 2
    step = (most + least) // 2
    return step if step - most >= most // 8 else most


def _row(table: Table, name: str, level: Level) -> None:
    table.add(
        f"{level.answers:,}", name, f"{level.arrived:.3f}", f"{level.p50_ms:.1f}", f"{level.p99_ms:.1f}",
        f"{level.cpu_us:.1f}", f"{level.core:.2f}", "yes" if level.holds else "no",
    )  # fmt: skip


async def one(name: str, node: Node, answers: int, scale: Scale, rate: float = RATE) -> Level:
    """One level: start so many answers on as many connections, and look at them for a while."""
    deltas = int(scale.streamed_s * rate)
    ours = name == "Holdfast"
    with quiet_client():
        sockets = [await Socket.open(node.port) for _ in range(answers)]
        ids = [str(uuid.uuid4()) for _ in sockets]
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with crowd(sockets) as watched:
            for number, (request_id, socket) in enumerate(zip(ids, sockets, strict=True)):
                asked = submission("paced", request_id=request_id, rate=rate, deltas=deltas)
                socket.send(asked if ours else {"id": request_id, "rate": rate, "deltas": deltas})
                await asyncio.sleep(max(0.0, began + scale.start_s * (number + 1) / answers - loop.time()))
            await asyncio.sleep(scale.settle_s)
            first, cpu = loop.time(), node.cpu_s
            await asyncio.sleep(scale.measured_s)
            last, used = loop.time(), node.cpu_s - cpu
        if ours:  # an answer does not end with its connection
            await cancel(dict(zip(ids, sockets, strict=True)))
        for socket in sockets:
            socket.close()
    late = list(_lateness(watched, ours, first, last))
    arrived = sum(data.count(FILL) for socket in sockets for at, data in socket.chunks if first <= at < last)
    due = answers * rate * (last - first)
    return Level(
        answers=answers,
        arrived=arrived / due,
        p50_ms=quantile(late, 0.5),
        p99_ms=quantile(late, 0.99),
        cpu_us=used / max(1, arrived) * 1e6,
        core=used / (last - first),
    )


def _lateness(sockets: list[Socket], ours: bool, first: float, last: float) -> Iterator[float]:
    """How many ms after it was made each delta came."""
    read = texts_of_pages if ours else texts_of_peer
    for socket in sockets:
        text = ""
        for at, _, more in read(socket):
            text += more
            while len(text) >= DELTA_CHARS:
                if first <= at < last:
                    yield (at - float(text[:STAMP_CHARS])) * 1000
                text = text[DELTA_CHARS:]


def submission(
    agent: str, *, request_id: str | None = None, follow: bool = True, **options: float
) -> dict[str, object]:
    """A submit for an agent of bench/paced.py."""
    request = {
        "request_id": request_id or str(uuid.uuid4()),
        "messages": [{"role": "user", "text": "go"}],
        "agent": agent,
        "options": options,
    }
    return {"type": "submit", "ref": 1, "request": request, "follow": follow}


async def cancel(followed: dict[str, Socket]) -> None:
    """End these requests, each followed by its socket."""
    ends = [
        asyncio.ensure_future(socket.until(b'"sealed":true', wait_s=END_WAIT_S))
        for socket in followed.values()
    ]
    await asyncio.sleep(0)
    for request_id, socket in followed.items():
        socket.send({"type": "cancel", "ref": 9, "request_id": request_id})
    await asyncio.gather(*ends, return_exceptions=True)

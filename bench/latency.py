"""Added latency: from the moment the model wrote a chunk until the client has it, beside a relay that keeps nothing."""

from __future__ import annotations

import asyncio
import bisect
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import aiohttp
import msgspec

from tests.support.script import Script

from .nodes import Node, holdfast, program, quiet_client
from .report import Report, Scale, Table, quantile, spread, times
from .streams import cancel
from .wire import Socket, crowd, texts_of_pages, texts_of_peer

RATE = 50
DELTA_CHARS = 40

METHOD = f"""N answers at once, {RATE} deltas a second each, one connection per answer. The model is a process of its own that
speaks the OpenAI stream and notes when it wrote each chunk; the added latency is from there to the bytes' arrival at the
client (all processes share the monotonic clock), for up to 50 of the connections. The server is `main.py serve` with SQLite and the `openai_chat` agent,
pinned to one core; model and client share what is left. The relay (bench/peer.py) uses the same `openai` package and
writes each delta to its socket at once through a queue and a task per connection; it keeps nothing. Both by turns.
A rate below {RATE} says that the model was held up: the machine was full."""


@dataclass(slots=True)
class Measured:
    """Repetitions of one system at one level."""

    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)


async def run(scale: Scale) -> Report:
    """The whole scenario."""
    levels = (1, 5) if scale.quick else (1, 50, 200)
    got: dict[tuple[str, int], Measured] = {}
    async with (
        program("tests.support.upstream", measured=False) as upstream,
        holdfast(base_url=f"http://127.0.0.1:{upstream.port}/v1") as ours,
        program("bench.peer", measured=True) as peer,
    ):
        for turn in range(scale.pick(4, 2)):
            for level in levels if turn else levels[:1]:
                for name, node in (("Holdfast", ours), ("relay", peer)):
                    measured = await _one(name, node, upstream.port, level, scale)
                    if turn:  # the first turn warms up: imports, connection pools
                        into = got.setdefault((name, level), Measured())
                        for series, value in zip(_series(into), measured, strict=True):
                            series.append(value)
    report = Report("Added latency", METHOD)
    table = Table(
        "Milliseconds; median and range of the repetitions",
        ["answers", "system", "p50", "p99", "deltas/s each", "CPU µs per delta"],
    )
    for level in levels:
        for name in ("Holdfast", "relay"):
            m = got[name, level]
            table.add(
                str(level),
                name,
                spread(m.p50, 2),
                spread(m.p99, 1),
                spread(m.rate),
                spread(m.cpu_us, 0),
            )
    report.tables.append(table)
    for level in levels:
        ours_, theirs = got["Holdfast", level], got["relay", level]
        report.reading.append(
            f"{level} answers: Holdfast's p50 is {times(_middle(ours_.p50) / _middle(theirs.p50))} the relay's, its p99 "
            f"{times(_middle(ours_.p99) / _middle(theirs.p99))}, with a durable journal in between. At its CPU per delta {level} answers "
            f"at the full rate want {_middle(ours_.cpu_us) * level * RATE / 1e6:.2f} of a core, the relay's "
            f"{_middle(theirs.cpu_us) * level * RATE / 1e6:.2f}."
        )
    return report


def _series(measured: Measured) -> tuple[list[float], ...]:
    return measured.p50, measured.p99, measured.rate, measured.cpu_us


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


async def _one(
    name: str, node: Node, upstream: int, level: int, scale: Scale
) -> tuple[float, float, float, float]:
    """One repetition: p50 and p99 in ms, the deltas that the model made per second and answer, and the CPU µs of each."""
    deltas = int(scale.streamed_s * RATE)
    # 7-bit text: what is slow in reading and writing it is not what is measured here
    script = Script(
        text="x" * (deltas * DELTA_CHARS),
        delta_chars=DELTA_CHARS,
        gap_ms=1000 / RATE,
        stamp=True,
        usage="never",
    )
    await _call(upstream, "PUT", "/script", script)
    with quiet_client():
        sockets = [await Socket.open(node.port) for _ in range(level)]
        ids = [str(uuid.uuid4()) for _ in range(level)]
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with crowd(sockets) as watched:
            for number, (socket, request_id) in enumerate(zip(sockets, ids, strict=True)):
                socket.forget()
                if name == "Holdfast":
                    socket.send(_submit(request_id))
                else:
                    base_url = f"http://127.0.0.1:{upstream}/v1"
                    socket.send({"id": request_id, "prompt": "say it", "base_url": base_url})
                await asyncio.sleep(max(0.0, began + scale.start_s * (number + 1) / level - loop.time()))
            await asyncio.sleep(scale.settle_s)
            first, cpu = loop.time(), node.cpu_s
            await asyncio.sleep(scale.measured_s)
            last, used = loop.time(), node.cpu_s - cpu
        if (
            name == "Holdfast"
        ):  # an answer does not end with its connection, and must not load the next repetition
            await cancel(dict(zip(ids, sockets, strict=True)))
        for socket in sockets:
            socket.close()
        await asyncio.sleep(scale.settle_s)
    read = texts_of_pages if name == "Holdfast" else texts_of_peer
    arrived = {
        request_id: list(_arrivals(read(socket)))
        for request_id, socket in zip(ids, sockets, strict=True)
        if socket in watched
    }
    stamps = await _stamps(upstream, set(ids))
    late: list[float] = []
    made = 0
    for request_id, steps in arrived.items():
        ends, at = [end for end, _ in steps], [at for _, at in steps]
        for number, stamp in enumerate(stamps.get(request_id, ())):
            if first <= stamp < last:
                made += 1
                place = bisect.bisect_left(ends, (number + 1) * DELTA_CHARS)
                if place < len(ends):
                    late.append(max(0.0, at[place] - stamp) * 1000)
    await _call(upstream, "POST", "/reset")
    return (
        quantile(late, 0.5),
        quantile(late, 0.99),
        made / max(1, len(arrived)) / (last - first),
        used / max(1, len(late) * level / len(arrived)) * 1e6,
    )


def _submit(request_id: str) -> dict[str, object]:
    messages = [{"role": "user", "text": "say it"}]
    request = {"request_id": request_id, "messages": messages, "agent": "model"}
    return {"type": "submit", "ref": 1, "request": request}


def _arrivals(texts: Iterator[tuple[float, str, str]]) -> Iterator[tuple[int, float]]:
    """How many characters had come at what time."""
    chars = 0
    for at, _, text in texts:
        chars += len(text)
        yield chars, at


async def _call(port: int, method: str, path: str, body: Script | None = None) -> None:
    data = None if body is None else msgspec.json.encode(body)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}{path}", data=data) as response,
    ):
        response.raise_for_status()


async def _stamps(port: int, keys: set[str]) -> dict[str, list[float]]:
    """When the model wrote each delta, by request."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/calls") as response,
    ):
        calls = (await response.json())["calls"]
    return {call["key"]: call["stamps"] for call in calls if call["key"] in keys}

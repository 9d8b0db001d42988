"""What the HTTP doors cost: a call on an idle server, and a delta through each of them."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec

from .nodes import Node, holdfast, quiet_client
from .report import Report, Scale, Table, quantile, spread, times
from .wire import Socket

WORDS_PER_S = 50
READERS = 40

METHOD = f"""Calls: one after another, by turns, on one kept connection each, to a server that has nothing else to do; from
before the call is written until its answer is read. The floor is GET /healthz, which does nothing. Deltas: {READERS} answers at
once, {WORDS_PER_S} deltas a second each, one reader per answer, all through the same door, doors by turns; the server's own CPU
time over the deltas that were made while it was measured. The server is `main.py serve` with SQLite and every door open, pinned to
one core; the client has the others."""

Call = Callable[[], Awaitable[None]]


async def run(scale: Scale) -> Report:
    """The whole scenario."""
    report = Report("HTTP doors", METHOD)
    async with holdfast() as node, aiohttp.ClientSession(f"http://127.0.0.1:{node.port}") as http:
        with quiet_client():
            report.tables.append(await _calls(node, http, scale, report))
            report.tables.append(await _deltas(node, http, scale, report))
    return report


# -- calls -------------------------------------------------------------------------------------------------------


async def _calls(node: Node, http: aiohttp.ClientSession, scale: Scale, report: Report) -> Table:
    socket = await Socket.open(node.port)
    done = str(uuid.uuid4())
    await _post(http, "/v1/requests", {**_quiet(), "request_id": done}, {"Prefer": "wait=10"})
    etag = await _get(http, f"/v1/requests/{done}", {})

    async def over_socket() -> None:
        request = {**_quiet(), "request_id": str(uuid.uuid4())}
        await socket.ask({"type": "submit", "ref": 1, "request": request, "follow": False}, b'"submitted"')

    calls: dict[str, Call] = {
        "GET /healthz (the floor)": lambda: _read(http, "/healthz"),
        "submit over the WebSocket": over_socket,
        "POST /v1/requests, answered 202": lambda: _post(
            http, "/v1/requests", _quiet(), {"Prefer": "respond-async"}
        ),
        "POST /v1/responses, background": lambda: _post(
            http,
            "/v1/responses",
            {"model": "quiet", "input": "x", "background": True, "holdfast": {"options": {"silent_s": 0}}},
            {},
        ),
        "GET /v1/requests/{id}": lambda: _read(http, f"/v1/requests/{done}"),
        "the same, not modified": lambda: _read(http, f"/v1/requests/{done}", {"If-None-Match": etag}),
    }
    took: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(scale.pick(400, 12)):
        for name, call in calls.items():
            began = time.perf_counter()
            await call()
            if turn >= scale.pick(20, 2):  # what comes first warms up
                took[name].append((time.perf_counter() - began) * 1000)
    socket.close()
    table = Table("One call, milliseconds", ["call", "p50", "p99", "of the floor"])
    floor = quantile(took["GET /healthz (the floor)"], 0.5)
    for name, values in took.items():
        middle = quantile(values, 0.5)
        table.add(name, f"{middle:.2f}", f"{quantile(values, 0.99):.1f}", times(middle / floor))
    durable = quantile(took["POST /v1/requests, answered 202"], 0.5)
    socket_ms = quantile(took["submit over the WebSocket"], 0.5)
    report.reading.append(
        f"A request is durable and answered 202 in {durable:.1f} ms at the median, {times(durable / socket_ms)} of a submit over "
        "the WebSocket, which does the same without HTTP around it."
    )
    return table


def _quiet() -> dict[str, Any]:
    return {"text": "x", "agent": "quiet", "options": {"silent_s": 0}}


async def _post(
    http: aiohttp.ClientSession, path: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    async with http.post(path, data=msgspec.json.encode(body), headers=headers) as response:
        await response.read()
        response.raise_for_status()


async def _read(http: aiohttp.ClientSession, path: str, headers: dict[str, str] | None = None) -> None:
    await _get(http, path, headers or {})


async def _get(http: aiohttp.ClientSession, path: str, headers: dict[str, str]) -> str:
    async with http.get(path, headers=headers) as response:
        await response.read()
        response.raise_for_status()
        return response.headers.get("ETag", "")


# -- deltas ------------------------------------------------------------------------------------------------------

DOORS = ("WebSocket", "native SSE", "NDJSON", "Responses SSE", "AI SDK SSE")


async def _deltas(node: Node, http: aiohttp.ClientSession, scale: Scale, report: Report) -> Table:
    readers = scale.pick(READERS, 4)
    used: dict[str, list[float]] = {door: [] for door in DOORS}
    for _ in range(scale.pick(3, 1)):
        for door in DOORS:
            used[door].append(await _through(node, http, door, readers, scale))
    table = Table("CPU of the server per delta, µs", ["door", "µs", "of the WebSocket's"])
    base = sorted(used["WebSocket"])[len(used["WebSocket"]) // 2]
    for door, values in used.items():
        table.add(door, spread(values, 0), times(sorted(values)[len(values) // 2] / base))
    report.reading.append(
        "The WebSocket's pump serves all of a turn's readers at once; over HTTP each reader is a task of its own. Making the "
        "answers is in all of these figures."
    )
    return table


async def _through(node: Node, http: aiohttp.ClientSession, door: str, readers: int, scale: Scale) -> float:
    """CPU µs per delta, with so many answers read through that door."""
    ids = [str(uuid.uuid4()) for _ in range(readers)]
    options = {"rate": WORDS_PER_S, "deltas": int(scale.streamed_s * WORDS_PER_S)}
    bodies = [
        {"request_id": each, "chat_id": f"c-{each}", "text": "x", "agent": "paced", "options": options}
        for each in ids
    ]
    for body in bodies:
        await _post(http, "/v1/requests", body, {"Prefer": "respond-async"})
    if door == "WebSocket":
        sockets = [await Socket.open(node.port) for _ in ids]
        for socket, each in zip(sockets, ids, strict=True):
            socket.send({"type": "subscribe", "ref": 1, "request_id": each})
        tasks: list[asyncio.Task[None]] = []
    else:
        sockets = []
        tasks = [asyncio.create_task(_drain(http, door, each)) for each in ids]
    await asyncio.sleep(scale.settle_s)
    began, cpu = time.monotonic(), node.cpu_s
    await asyncio.sleep(scale.measured_s)
    spent, passed = node.cpu_s - cpu, time.monotonic() - began
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for socket in sockets:
        socket.close()
    for each in ids:
        await _post(http, f"/v1/requests/{each}/cancel", {}, {})
    await asyncio.sleep(scale.settle_s)
    return spent / (passed * WORDS_PER_S * readers) * 1e6


async def _drain(http: aiohttp.ClientSession, door: str, request_id: str) -> None:
    path, accept = {
        "native SSE": (f"/v1/requests/{request_id}/events", "text/event-stream"),
        "NDJSON": (f"/v1/requests/{request_id}/events", "application/x-ndjson"),
        "Responses SSE": (f"/v1/responses/resp_{request_id}?stream=true", "text/event-stream"),
        "AI SDK SSE": (f"/api/chat/c-{request_id}/stream", "text/event-stream"),
    }[door]
    async with http.get(path, headers={"Accept": accept}) as response:
        response.raise_for_status()
        async for _ in response.content.iter_any():
            pass

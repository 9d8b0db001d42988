"""A real server with few slots: who waits is told why, through every door, and priorities hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from holdfast_client import connect
from holdfast_protocol.pushes import Notice
from tests.support.script import Script, scripted
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Upstream

WAIT_S = 15.0
"""Far more than anything here takes on a busy machine."""


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """The scripted model."""
    async with Upstream() as server:
        yield server


@pytest.fixture
async def server(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Server]:
    """A server with two slots, whose agent `model` may run one."""
    toml = openai_toml(upstream.base_url, extra="[limits]\nslots = 2")
    toml += "running_max = 1\n[agents.demo]\nkind = 'demo'\npace = 0.2\n"
    async with Server(tmp_path / "server", toml=toml) as process:
        yield process


async def status(server: Server, request_id: str) -> dict[str, Any]:
    """What HTTP says of a request."""
    url = f"http://127.0.0.1:{server.port}/v1/requests/{request_id}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        body: dict[str, Any] = await response.json()
        return body


async def begun(server: Server, request_id: str) -> None:
    """Return when it runs."""
    while True:
        if (await status(server, request_id))["status"] == "running":
            return
        await asyncio.sleep(0.02)


async def test_who_waits_is_told_why(server: Server, upstream: Upstream) -> None:
    """An agent at its limit, then slots: in the status, in the list, in a push, and as a sentence; and the one that is high
    begins first."""
    told: list[Notice] = []
    held = scripted("First", Script(text="It is held.", hold=0))
    async with asyncio.timeout(WAIT_S), connect(server.url, on_notice=told.append) as client:
        first = await client.submit(held, request_id="r1")
        await upstream.log.until(lambda calls: len(calls) > 0, WAIT_S)
        second = await client.submit(held, request_id="r2")
        shown = await status(server, "r2")
        assert (shown["status"], shown["place"], shown["queue_reason"]) == ("queued", 0, "agent")
        level = second.level
        while second.waits_for is None:
            level = await second.changed(level)
        assert second.waits_for == "Waits for another answer of its agent to end."
        assert [(notice.place, notice.reason) for notice in told if notice.request_id == "r2"] == [
            (0, "agent")
        ]
        await client.submit("Slowly", request_id="r3", agent="demo", follow=False)
        await begun(server, "r3")
        await client.submit("Also", request_id="r4", agent="demo", follow=False)
        await client.submit("Before", request_id="r5", agent="demo", priority="high", follow=False)
        rows = {row.request_id: row for row in (await client.requests(active=True)).requests}
        assert [(rows[name].place, rows[name].queue_reason) for name in ("r5", "r4")] == [
            (0, "slots"),
            (1, "slots"),
        ]
        await client.cancel("r3")
        await begun(server, "r5")
        assert (await status(server, "r4"))["status"] == "queued"
        await first.cancel()

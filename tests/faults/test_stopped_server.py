"""A server that stands still (SIGSTOP) and goes on: its clients leave, come back, and have everything."""

from __future__ import annotations

import asyncio

import pytest

from holdfast_client import connect
from tests.support.impatience import make_impatient
from tests.support.script import Script, expected_text, scripted
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.faults, pytest.mark.slow]

BOUND_S = 60


async def test_a_server_that_stands_still_for_longer_than_the_heartbeat(tmp_path, monkeypatch):
    """The clients notice it and come back; answers that ran go on where they stood, in the same attempt, and no model is
    asked twice; what was submitted meanwhile runs once."""
    make_impatient(monkeypatch)
    script = Script(seed=3, deltas=150, gap_ms=20)
    lost = asyncio.Event()

    def told(reason: str | None) -> None:
        if reason is not None:
            lost.set()

    async with Upstream() as upstream, Server(tmp_path, toml=openai_toml(upstream.base_url)) as server:
        async with (
            asyncio.timeout(BOUND_S),
            connect(server.url, on_connection=told) as client,
        ):
            answers = [
                await client.submit(scripted("Say it.", script), request_id=f"r{number}")
                for number in range(4)
            ]
            async for _ in answers[0]:
                break
            server.process.stop()
            try:
                late = asyncio.create_task(
                    client.submit(scripted("Say it.", script), request_id="late", chat_id="late")
                )
                await lost.wait()
                await asyncio.sleep(2)  # the upstream goes on and waits for nobody
            finally:
                server.process.cont()
            for answer in [*answers, await late]:
                transcript = await answer.result()
                assert (transcript.status, transcript.attempt) == ("completed", 1)
                assert transcript.text == expected_text(script)
                assert len(upstream.log.of(answer.request_id)) == 1
        assert server.starts == 1

"""A history that somebody else has locked, as a backup does: requests wait for it and come to their end."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from holdfast_client import Client, connect
from tests.support.script import Script, expected_text, scripted
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.faults, pytest.mark.slow]

BOUND_S = 90
LOCKED_S = 14  # longer than the server waits for its history before it says so (10 s)
SCRIPT = Script(seed=21, deltas=10)


async def test_a_request_outlives_a_locked_history(tmp_path: Path) -> None:
    """A request of a chat that is accepted while the history takes nothing waits for it, and is then answered, once; one
    without a chat does not even wait."""
    async with (
        asyncio.timeout(BOUND_S),
        Upstream() as upstream,
        Server(tmp_path, toml=openai_toml(upstream.base_url)) as server,
        connect(server.url) as client,
    ):
        warm = await client.submit(scripted("Say it.", SCRIPT), chat_id="warm")
        await warm.result()
        await client.messages("warm")
        backup = sqlite3.connect(server.folder / "data" / "history.db", isolation_level=None)
        backup.execute("BEGIN IMMEDIATE")
        try:
            waiting = await client.submit(scripted("Say it.", SCRIPT), chat_id="waits", request_id="waits")
            free = await client.submit(scripted("Say it.", SCRIPT))
            assert (await free.result()).text == expected_text(SCRIPT)
            await asyncio.sleep(LOCKED_S)
            assert not waiting.ended
        finally:
            backup.rollback()
            backup.close()
        transcript = await waiting.result()
        assert (transcript.status, transcript.text) == ("completed", expected_text(SCRIPT))
        assert len(upstream.log.of("waits")) == 1
        assert await roles(client, "waits") == ["assistant", "user"]


async def roles(client: Client, chat_id: str) -> list[str]:
    """Who spoke in the chat, the newest first."""
    return [row.role for row in (await client.messages(chat_id)).messages]

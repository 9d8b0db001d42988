"""A disk that is full, for real: a small file system of its own, filled by somebody else, and freed again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast_client import CommandRefused, connect
from tests.support.script import Script, expected_text, scripted
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Upstream

pytestmark = [
    pytest.mark.faults,
    pytest.mark.slow,
    pytest.mark.needs("mount", "umount"),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a file system"
    ),
]

SIZE_MIB = 64  # room for the reserve (4 MiB, kept where four times as much is free) and for some journals
BOUND_S = 90
LONG = Script(seed=11, deltas=400, delta_chars=200, gap_ms=10)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The server's data folder, with SIZE_MIB and no more; its output goes elsewhere."""
    folder = tmp_path / "data"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room that is left, to the last byte."""
    file = folder / "filler"
    with file.open("wb", buffering=0) as stream:
        for size in (1024 * 1024, 4096, 1):
            try:
                while stream.write(b"x" * size):
                    pass
            except OSError:
                continue
    return file


async def test_a_full_disk(tmp_path, small_disk):
    """New requests are refused as `storage_full`, nothing is lost or shown that is not durable, what was there can be read;
    once there is room again everything goes on by itself: the answer that ran is whole, and the model was asked once."""
    async with (
        asyncio.timeout(BOUND_S),
        Upstream() as upstream,
        Server(tmp_path, toml=openai_toml(upstream.base_url)) as server,
    ):
        async with connect(server.url) as client:
            before = await client.submit(scripted("Say it.", Script(seed=1)), chat_id="before")
            assert (await before.result()).text == expected_text(Script(seed=1))
            running = await client.submit(scripted("Say it.", LONG), request_id="running")
            async for _ in running:
                break
            filler = fill(small_disk)

            refused: set[str] = set()
            while "storage_full" not in refused:
                try:
                    await client.submit(scripted("Say it.", Script(seed=2)), follow=False)
                except CommandRefused as error:
                    refused.add(error.code)
                    assert error.retryable  # noqa: PT017 - some are refused, others may still get in
            assert refused <= {"storage_full", "unavailable"}
            async with connect(server.url) as reader:
                shown = await reader.attach(before.request_id).result()
                assert shown.text == expected_text(Script(seed=1))
                rows = (await reader.messages("before")).messages
                assert [row.role for row in rows] == ["assistant", "user"]
                assert [row.chat_id for row in (await reader.chats()).chats] == ["before"]
            assert expected_text(LONG).startswith(running.transcript.text)

            filler.unlink()
            transcript = await running.result()
            assert (transcript.status, transcript.attempt) == ("completed", 1)
            assert transcript.text == expected_text(LONG)
            after = await client.submit(scripted("Say it.", Script(seed=3)), chat_id="after")
            assert (await after.result()).text == expected_text(Script(seed=3))
            assert len(upstream.log.of("running")) == 1
        assert await server.process.terminate(wait_s=40) == 0
        await server.start()
        async with connect(server.url) as client:
            assert (await client.attach("running").result()).text == expected_text(LONG)


async def test_what_makes_room_is_possible_on_a_full_disk(tmp_path, small_disk):
    """Stopping an answer works at once on a disk that has just become full, and so does deleting a chat: there is a
    reserve for what makes room."""
    async with (
        asyncio.timeout(BOUND_S),
        Upstream() as upstream,
        Server(tmp_path, toml=openai_toml(upstream.base_url)) as server,
        connect(server.url) as client,
    ):
        before = await client.submit(scripted("Say it.", Script(seed=1)), chat_id="before")
        await before.result()
        held = await client.submit(scripted("Say it.", Script(deltas=50, hold=5)), chat_id="held")
        async for _ in held:
            break
        fill(small_disk)
        assert (await held.cancel()).won
        assert (await held.result()).status == "cancelled"
        await client.delete_chat("before")
        assert [row.chat_id for row in (await client.chats()).chats] == ["held"]

"""Packed journals in memory: shared while they are read, counted while they are held."""

from __future__ import annotations

import asyncio
import gc

import pytest

from holdfast_server.stores.base import Unavailable
from holdfast_server.stores.embedded import EmbeddedStore
from holdfast_server.stores.packed import PackedLogs, size_of
from tests.support.disks import KeptDisk
from tests.support.journals import Clock
from tests.support.scribe import Scribe, key


async def packed(count: int, held_bytes_max: int) -> PackedLogs:
    """So many packed journals on a disk, and nothing of them in memory."""
    disk = KeptDisk()
    store = EmbeddedStore(disk, now_ms=Clock())
    await store.start()
    scribe = Scribe(store, Clock())
    for number in range(count):
        await scribe.ended(f"r{number}", "text")
    await store.compact()
    return PackedLogs(disk, 0, held_bytes_max)


async def test_readers_share_one_object():
    """Two who ask at once hold the same."""
    logs = await packed(1, 10**9)
    first, second = await asyncio.gather(logs.read(key("r0")), logs.read(key("r0")))
    assert first is second
    assert first is not None
    assert logs.held_bytes == size_of(first)


async def test_what_is_held_is_bounded_and_comes_back_when_it_is_let_go():
    """Beyond the bound nothing more is brought in; what is in memory is still shared; whoever lets go makes room."""
    logs = await packed(3, 1)
    held = await logs.read(key("r0"))
    assert held is not None
    with pytest.raises(Unavailable):
        await logs.read(key("r1"))
    assert await logs.read(key("r0")) is held
    del held
    gc.collect()
    assert logs.held_bytes == 0
    assert await logs.read(key("r1")) is not None

"""Output gathers before a commit when the loop has no time left, and then only what nobody waits for."""

from __future__ import annotations

import asyncio

from holdfast_server.stores.embedded import EmbeddedStore
from holdfast_server.stores.pacing import FREE, FULL, GATHER_MAX_S, LOOK_S, Pace
from tests.support.disks import KeptDisk
from tests.support.journals import Clock
from tests.support.scribe import Scribe, text_of
from tests.support.simloop import SimLoop


def paces(share: float, looks: int) -> float:
    """What a loop that works that share of its time is told after so many looks."""
    now = [0.0]

    def worked_s() -> float:
        return now[0] * share

    pace = Pace(lambda: now[0], worked_s)
    told = 0.0
    for _ in range(looks):
        now[0] += LOOK_S
        told = pace()
    return told


def test_a_loop_with_time_left_is_never_told_to_wait():
    """Also after long."""
    assert paces(FREE - 0.01, 1000) == 0
    assert paces(0.05, 1000) == 0


def test_a_loop_at_its_end_is_told_to_wait_the_most():
    """And no longer than that; in between, more the less time it has."""
    assert paces(FULL, 1000) > 0.99 * GATHER_MAX_S
    assert paces(1.0, 1000) == GATHER_MAX_S
    assert 0 < paces((FREE + FULL) / 2, 1000) < GATHER_MAX_S


def test_a_burst_is_no_load():
    """One look at full work changes nothing."""
    assert paces(1.0, 1) == 0


def test_output_gathers_and_an_operation_ends_the_wait():
    """Two deltas of an answer share a commit; an open takes them along at once."""
    sim = SimLoop(1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        disk = KeptDisk()
        store = EmbeddedStore(disk, now_ms=Clock(), pace=lambda: 10.0)
        await store.start()
        scribe = Scribe(store, Clock())
        held = await scribe.running("r1")
        await held.writer.flush()
        commits, began = len(disk.batches), loop.time()
        held.say("a")
        await asyncio.sleep(4)
        held.say("b")
        assert len(disk.batches) == commits
        await held.writer.flush()
        assert len(disk.batches) == commits + 1
        assert loop.time() - began <= 10
        held.say("c")
        before = loop.time()
        await scribe.open("r2")
        assert loop.time() == before
        assert text_of(held.log) == "abc"
        await store.close()

    sim.run(main())


def test_close_does_not_wait():
    """What was handed in is written at once when the store is closed."""
    sim = SimLoop(1)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        store = EmbeddedStore(KeptDisk(), now_ms=Clock(), pace=lambda: 3600.0)
        await store.start()
        held = await Scribe(store, Clock()).running("r1")
        held.say("a")
        before = loop.time()
        await store.close()
        assert loop.time() == before
        assert text_of(held.log) == "a"

    sim.run(main())

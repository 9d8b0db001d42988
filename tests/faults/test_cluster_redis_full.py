"""Redis has no memory left: what is new is refused, what runs waits and goes on, and what is there is read all the while."""

import asyncio
import time
from functools import partial

import pytest

from tests.support.script import Script
from tests.support.talks import asked_once, text_meant
from tests.support.trouble import WAIT_S, figures, trouble, until
from tests.support.trouble_agents import PIECE_CHARS, poured

pytestmark = [pytest.mark.needs("redis-server", "postgres"), pytest.mark.faults, pytest.mark.slow]

FULL = "Redis is full"
LASTS_S = 3.0
SHORT = Script(deltas=3, reseed=True)
LONG = Script(deltas=1500, gap_ms=40, reseed=True)  # a minute: it does not end before it is cancelled


async def test_no_memory_left(tmp_path, redis_server, postgres_server, capsys):
    """1. maxmemory is lowered under running answers. 2. Nodes say that Redis is full; what is new is refused for a reason that
    passes, and does not run by itself later; agents wait; ended answers are read through every node. 3. It is raised, and all
    goes on."""
    pieces = 1000
    async with (
        asyncio.timeout(3 * WAIT_S),
        trouble(tmp_path, nodes=2, redis=redis_server, postgres=postgres_server) as scene,
    ):
        (done,) = await scene.ask(1, script=SHORT)
        await scene.check([done])
        talks = await scene.ask(4)
        pouring = await scene.ask(2, script=None, agent="pourer", options={"pieces": pieces})
        await scene.shown(talks)
        await scene.shown(pouring, 20 * PIECE_CHARS)
        await redis_server.do("CONFIG", "SET", "maxmemory", "1mb")
        try:
            await scene.troubled(FULL)
            refused = [await scene.refused(node, {"overloaded", "storage_full"}, 3.0) for node in (0, 1)]
            notes = [tmp_path / "notes" / talk.request_id for talk in pouring]
            sizes = [note.stat().st_size for note in notes]
            began = time.monotonic()
            late = [talk.readers[0] for talk in (done,)]
            await scene.read(done, (0, 1))
            for reader in done.readers[len(late) :]:
                await reader.until_end()
                assert reader.text == text_meant(done)
            await asyncio.sleep(max(0.0, LASTS_S - (time.monotonic() - began)))
            assert all(gauge.now[0] == 503 for gauge in scene.gauges), "it says so for as long as it lasts"
            assert [note.stat().st_size for note in notes] == sizes, "they said more though nothing was taken"
        finally:
            await redis_server.do("CONFIG", "SET", "maxmemory", "0")
        await scene.calm()
        await scene.check([*talks, *pouring])
        whole = "".join(map(poured, range(pieces)))
        assert all(reader.text == whole for talk in pouring for reader in talk.readers)
        # Longer than it takes a node to open again what was accepted and is not in Redis.
        await asyncio.sleep(8.0)
        assert not [call for call in scene.upstream.log.calls if call.key in refused], (
            "refused, and run all the same"
        )
        for request_id in refused:
            assert (await scene.post(0, request_id))[0] in {200, 202}
            await until(partial(asked_once, scene, request_id))
        figures(capsys, f"full: not ready for {scene.unready_s(0):.1f} s; refused within {scene.refused_s} s")


async def test_ends_are_taken_when_nothing_else_is(tmp_path, redis_server, postgres_server):
    """With no memory left a request can be cancelled, through the node that does not run it: every reader is told at once."""
    async with (
        asyncio.timeout(3 * WAIT_S),
        trouble(tmp_path, nodes=2, redis=redis_server, postgres=postgres_server) as scene,
    ):
        talks = await scene.ask(2, script=LONG)
        await scene.shown(talks)
        await redis_server.do("CONFIG", "SET", "maxmemory", "1mb")
        try:
            await scene.troubled(FULL)
            for talk in talks:
                other = 1 - await scene.runs_at(talk)
                desk = await scene.desk(other, talk.key.user)
                assert (await desk.client.cancel(talk.request_id)).won
                for reader in talk.readers:
                    await reader.until_end()
                    assert reader.answer.status == "cancelled"
                    assert text_meant(talk).startswith(reader.text)
                await scene.same(talk)
        finally:
            await redis_server.do("CONFIG", "SET", "maxmemory", "0")
        await scene.calm()

"""Redis is away while answers run: killed and started again, frozen, and answering nothing though it did what it was told."""

import asyncio
import time
from functools import partial

import pytest

from holdfast_server.stores.writer import WRITER_PENDING_BYTES_MAX
from tests.support.cluster import LEASE_S
from tests.support.proxy import CutAfter
from tests.support.redis_rig import RedisServer
from tests.support.talks import asked_once
from tests.support.trouble import WAIT_S, figures, resident_bytes, trouble, until
from tests.support.trouble_agents import PIECE_CHARS, poured

pytestmark = [pytest.mark.needs("redis-server", "postgres"), pytest.mark.faults, pytest.mark.slow]

SOON_S = 8.0  # a submit is refused within the second that is promised; the rest is the machine's
FROZEN_S = 5.0  # longer than a command may take (2 s) and than a lease
TOLD_MAX = 20  # warnings of an outage, however long it lasts: some works, each with two or three reasons
PADDING = 4000
PADDED = "for number = 1, ARGV[1] do redis.call('SET', 'padding:' .. number, '') end"
LOAD_DELAY_US = (
    "600"  # for each command that it reads in again; it looks up from that after every thousand or so
)
MIB = 1024 * 1024


async def test_killed_and_read_in_again(tmp_path, postgres_server, capsys):
    """Killed, and slow to read its data in: nodes say so and refuse what is new at once; running answers go on where they
    were, through every node, and nothing was asked of the model twice. What was refused runs once, when it is asked again."""
    async with (
        asyncio.timeout(3 * WAIT_S),
        RedisServer(tmp_path / "redis") as redis,
        trouble(tmp_path, nodes=2, redis=redis, postgres=postgres_server) as scene,
    ):
        talks = await scene.ask(6)
        homes = {await scene.runs_at(talk) for talk in talks}
        assert homes == {0, 1}, "every answer is read at the node that runs it, and at one that does not"
        await redis.do("EVAL", PADDED, 0, PADDING)
        redis.options |= {"key-load-delay": LOAD_DELAY_US, "loading-process-events-interval-bytes": "1024"}
        await scene.shown(talks)
        await redis.kill()
        await scene.troubled("Redis")
        refused = [await scene.refused(node, {"unavailable"}, SOON_S) for node in (0, 1)]
        await redis.start()
        await scene.troubled("reading its data")
        await scene.calm()
        for request_id in refused:
            assert (await scene.post(1, request_id))[0] in {200, 202}
        await scene.check(talks)
        for request_id in refused:
            await until(partial(asked_once, scene, request_id))
        for node in scene.cluster.nodes:
            warned = [
                line for line in node.process.output.read_text().splitlines() if '"level": "warning"' in line
            ]
            assert len(warned) < TOLD_MAX, warned
        figures(
            capsys,
            f"killed, read in again: not ready for {scene.unready_s(0):.1f} s; refused within {scene.refused_s} s",
        )


async def test_frozen(tmp_path, redis_server, postgres_server, capsys):
    """Frozen for longer than a command may take and than a lease: the same, and nobody has taken over anything that runs."""
    async with (
        asyncio.timeout(3 * WAIT_S),
        trouble(tmp_path, nodes=2, redis=redis_server, postgres=postgres_server) as scene,
    ):
        talks = await scene.ask(6)
        await scene.shown(talks)
        redis_server.stop()
        try:
            began = time.monotonic()
            await scene.refused(0, {"unavailable"}, 2 * SOON_S)
            await scene.troubled("does not answer")
            await scene.refused(1, {"unavailable"}, SOON_S)
            await asyncio.sleep(max(0.0, FROZEN_S + LEASE_S - (time.monotonic() - began)))
        finally:
            redis_server.cont()
        await scene.calm()
        await scene.check(talks)
        figures(
            capsys, f"frozen: not ready for {scene.unready_s(0):.1f} s; refused within {scene.refused_s} s"
        )


async def test_replies_that_never_come(tmp_path, redis_server, postgres_server, capsys):
    """Redis does what it is told, and its replies are lost again and again, by ends and by silence: what is sent again is
    recognised, and nothing is there twice."""
    async with (
        asyncio.timeout(3 * WAIT_S),
        trouble(
            tmp_path, nodes=2, redis=redis_server, postgres=postgres_server, proxied=True, lease_s=10.0
        ) as scene,
    ):
        talks = await scene.ask(6)
        await scene.shown(talks)
        proxies = [scene.cluster.link_proxy(number) for number in (0, 1)]
        before = [proxy.counts.cut for proxy in proxies]
        for proxy in proxies:
            # The fourth connection of each keeps silent in place of ending.
            proxy.plan = lambda number: CutAfter(
                2500 + 37 * number, "down", "half_open" if number % 4 == 0 else "rst"
            )
            await proxy.cut("rst")
        await asyncio.sleep(FROZEN_S)
        cuts = [proxy.counts.cut - was for proxy, was in zip(proxies, before, strict=True)]
        for proxy in proxies:
            proxy.heal()
            await proxy.cut("rst")
        await scene.calm()
        await scene.check(talks)
        assert min(cuts) >= 6, cuts
        figures(capsys, f"replies lost: {cuts} connections of the two nodes ended or fell silent")


async def test_an_agent_waits(tmp_path, redis_server, postgres_server, capsys):
    """An agent that says more than the store takes waits while it is away: the node keeps a bounded piece of it, and all of
    it is there in the end."""
    pieces = 1500
    async with (
        asyncio.timeout(3 * WAIT_S),
        trouble(tmp_path, nodes=2, redis=redis_server, postgres=postgres_server) as scene,
    ):
        talks = await scene.ask(2, script=None, agent="pourer", options={"pieces": pieces})
        await scene.shown(talks, 20 * PIECE_CHARS)
        notes = [tmp_path / "notes" / talk.request_id for talk in talks]
        redis_server.stop()
        try:
            await scene.troubled("does not answer")
            sizes = [note.stat().st_size for note in notes]
            memory = [resident_bytes(node) for node in scene.cluster.nodes]
            await asyncio.sleep(FROZEN_S)
            assert [note.stat().st_size for note in notes] == sizes, "they said more though nothing was taken"
            grown = [
                resident_bytes(node) - was for node, was in zip(scene.cluster.nodes, memory, strict=True)
            ]
            assert max(grown) < 16 * MIB
            shown = [len(talk.readers[0].text) for talk in talks]
            ahead = [PIECE_CHARS * size - seen for size, seen in zip(sizes, shown, strict=True)]
            # What is under way beside what is pending: a piece that was put, and what a reader has not shown yet.
            assert max(ahead) <= WRITER_PENDING_BYTES_MAX + 4 * PIECE_CHARS, ahead
            assert max(sizes) < pieces
        finally:
            redis_server.cont()
        await scene.calm()
        await scene.check(talks)
        whole = "".join(map(poured, range(pieces)))
        assert all(reader.text == whole for talk in talks for reader in talk.readers)
        figures(capsys, f"writers: {ahead} bytes ahead of what is durable, memory grew by {grown} bytes")

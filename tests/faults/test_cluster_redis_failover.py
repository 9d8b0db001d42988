"""Another Redis becomes the master, without the last writes of the one before; or the one there is becomes a replica."""

import asyncio
from typing import Any

import pytest

from tests.support.redis_rig_more import SentinelRig
from tests.support.script import expected_text
from tests.support.takeover_agents import counted
from tests.support.talks import nonce_of
from tests.support.trouble import WAIT_S, TextReader, figures, trouble

pytestmark = [pytest.mark.needs("redis-server", "postgres"), pytest.mark.faults, pytest.mark.slow]

RESETS = {"unknown_epoch", "ahead", "superseded"}
WORDS = 300
COUNT = {"words": WORDS, "gap_s": 0.03}


async def test_the_writers_live(tmp_path, postgres_server, capsys):
    """The new master lacks what was shown: the node that runs it writes it again, under the same offsets. No reader sees a
    difference, at any node; what the new master did not even know is there too."""
    async with (
        asyncio.timeout(3 * WAIT_S),
        SentinelRig(tmp_path / "sentinel") as rig,
        trouble(tmp_path, nodes=2, redis=rig, postgres=postgres_server) as scene,
    ):
        scene.at(rig.master)
        known = await scene.ask(4)
        await scene.shown(known)
        await rig.cut()
        unknown = await scene.ask(4)
        await scene.shown([*known, *unknown], 120)
        shown = [talk.readers[0].answer.fold.offset for talk in [*known, *unknown]]
        held = [len(await scene.stored(talk.key, rig.replica)) for talk in [*known, *unknown]]
        assert all(has < seen for has, seen in zip(held, shown, strict=True)), (
            "the replica must lack some of it"
        )
        await rig.promote()
        scene.at(rig.replica)
        await scene.check([*known, *unknown])
        await scene.calm()
        assert all(
            not [id_ for id_, reason in desk.resets if reason in RESETS] for desk in scene.desks.values()
        )
        figures(
            capsys,
            f"failover: {held} of {shown} events known to the new master, not ready for {scene.unready_s(0):.1f} s",
        )


async def test_the_writer_is_dead(tmp_path, postgres_server):
    """The new master lacks what was shown, and who wrote it is gone: another goes on from what is left, in another epoch, and
    every reader is told. What the new master did not know is opened again."""
    async with (
        asyncio.timeout(3 * WAIT_S),
        SentinelRig(tmp_path / "sentinel") as rig,
        trouble(tmp_path, nodes=2, roles=("gateway", "worker"), redis=rig, postgres=postgres_server) as scene,
    ):
        scene.at(rig.master)
        _, worker = scene.cluster.nodes
        once: dict[str, Any] = {"through": (0,), "read": (0,), "reader": TextReader}
        known = await scene.ask(2, **once)
        counting = await scene.ask(2, script=None, agent="counter", options=COUNT, **once)
        await scene.shown([*known, *counting])
        await rig.cut()
        unknown = await scene.ask(2, **once)
        await scene.shown([*known, *counting, *unknown], 150)
        before = {talk.key: nonce_of(talk.readers[0].answer) for talk in unknown}
        await worker.kill()
        await rig.promote()
        scene.at(rig.replica)
        await worker.start()
        scene.upstream.release()
        for talk in [*known, *counting, *unknown]:
            (reader,) = talk.readers
            await reader.until_end()
            assert reader.answer.status == "completed"
            script = talk.script
            assert reader.text == (counted(WORDS) if script is None else expected_text(script, 2))
            assert script is None or reader.taken_back, "what was shown of the first answer was taken back"
            await scene.same(talk)
            desk = await scene.desk(0, talk.key.user)
            reasons = [reason for id_, reason in desk.resets if id_ == talk.request_id]
            assert reasons[-1] in RESETS, (talk.key, reasons)
            if script is not None:
                assert len(scene.upstream.log.of(talk.request_id)) == 2
        assert all(nonce_of(talk.readers[0].answer) != before[talk.key] for talk in unknown)
        await scene.calm()


async def test_the_master_becomes_a_replica(tmp_path, redis_server, postgres_server, capsys):
    """Redis is made a replica under the nodes and takes no more writes: they say that it is one, refuse what is new, and go on
    when it is a master again."""
    async with (
        asyncio.timeout(3 * WAIT_S),
        trouble(tmp_path, nodes=2, redis=redis_server, postgres=postgres_server, lease_s=10.0) as scene,
    ):
        talks = await scene.ask(4)
        await scene.shown(talks)
        await redis_server.do("REPLICAOF", "127.0.0.1", "1")
        try:
            await scene.troubled("replica")
            refused = [await scene.refused(node, {"unavailable"}, 3.0) for node in (0, 1)]
            await asyncio.sleep(2.0)
            assert all(gauge.now[0] == 503 for gauge in scene.gauges), "it says so for as long as it lasts"
        finally:
            await redis_server.do("REPLICAOF", "NO", "ONE")
        await scene.calm()
        await scene.check(talks)
        for request_id in refused:
            assert (await scene.post(0, request_id))[0] in {200, 202}
        figures(
            capsys, f"read only: not ready for {scene.unready_s(0):.1f} s; refused within {scene.refused_s} s"
        )

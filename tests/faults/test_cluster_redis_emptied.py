"""Redis comes back with nothing: what was accepted is in PostgreSQL, what ran is in the memory of who ran it; nothing vanishes."""

import asyncio

import pytest

from tests.support.redis_rig import RedisServer
from tests.support.script import Script
from tests.support.talks import nonce_of, text_meant
from tests.support.trouble import WAIT_S, TextReader, figures, trouble, until

pytestmark = [pytest.mark.needs("redis-server", "postgres"), pytest.mark.faults, pytest.mark.slow]

RESETS = {"unknown_epoch", "ahead", "superseded"}
"""Reasons of a snapshot that put a reader onto another journal than the one that it had."""


async def emptied(redis):
    """Kill it, and start it with an empty folder."""
    await redis.kill()
    redis.wipe()
    await redis.start()


async def test_everything_is_lost_and_the_nodes_live(tmp_path, postgres_server, capsys):
    """What runs comes back from the node that runs it, the same bytes under the same offsets. What only waited - for a slot, for
    a person - is opened again from what was accepted, and its readers get a snapshot that says why. What had ended in a chat is in
    the history. All end."""
    limits = "slots = 2"
    async with (
        asyncio.timeout(3 * WAIT_S),
        RedisServer(tmp_path / "redis") as redis,
        trouble(tmp_path, nodes=2, redis=redis, postgres=postgres_server, limits=limits) as scene,
    ):
        (done,) = await scene.ask(1, script=Script(deltas=3, reseed=True), chat_id="the-chat")
        await scene.check([done])
        (waiting,) = await scene.ask(1, script=None, agent="waiter", reader=TextReader)
        await scene.shown([waiting], len("May I? "))
        await until(lambda: all(reader.answer.status == "waiting" for reader in waiting.readers))
        running = await scene.ask(4)
        await scene.shown(running)
        queued = await scene.ask(4, script=Script(deltas=5, reseed=True), reader=TextReader)
        await until(
            lambda: all(reader.answer.status == "queued" for talk in queued for reader in talk.readers)
        )
        before = {talk.key: nonce_of(talk.readers[0].answer) for talk in [waiting, *running, *queued]}

        await emptied(redis)
        await scene.calm()
        await scene.check(running)
        for talk in running:
            assert nonce_of(talk.readers[0].answer) == before[talk.key]
        for talk in queued:
            for reader in talk.readers:
                await reader.until_end()
                assert reader.answer.status == "completed"
                assert reader.text == text_meant(talk, 1)
            await scene.same(talk)
            assert len(scene.upstream.log.of(talk.request_id)) == 1, "asked once, though it was opened twice"
        answer = waiting.readers[1].answer
        await until(lambda: answer.status == "waiting" and nonce_of(answer) != before[waiting.key], answer)
        wait = next(part.fields for part in reversed(answer.parts) if part.kind == "wait")
        await answer.decide("go", True, digest=wait["digest"])
        for reader in waiting.readers:
            await reader.until_end()
            assert (reader.answer.status, reader.text) == ("completed", "May I? I may.")
        await scene.same(waiting)
        for node in (0, 1):
            desk = await scene.desk(node, waiting.key.user)
            assert [reason for id_, reason in desk.resets if id_ == waiting.request_id][1:][0] in RESETS
            desk = await scene.desk(node, done.key.user)
            rows = (await desk.client.messages("the-chat")).messages
            assert [row.text for row in rows] == [text_meant(done), "Go on."]
        told = sorted({reason for desk in scene.desks.values() for _, reason in desk.resets})
        figures(capsys, f"emptied: not ready for {scene.unready_s(0):.1f} s; reasons of snapshots: {told}")


async def test_everything_is_lost_with_the_node_that_ran_it(tmp_path, postgres_server, capsys):
    """The node that ran answers dies with Redis: they are opened again and begin anew, which every reader at the other node is
    told; each has an outcome, and the model was asked twice, once for each."""
    async with (
        asyncio.timeout(3 * WAIT_S),
        RedisServer(tmp_path / "redis") as redis,
        trouble(
            tmp_path, nodes=2, roles=("gateway", "worker"), redis=redis, postgres=postgres_server
        ) as scene,
    ):
        _, worker = scene.cluster.nodes
        talks = await scene.ask(4, through=(0,), read=(0,), reader=TextReader)
        await scene.shown(talks)
        before = {talk.key: nonce_of(talk.readers[0].answer) for talk in talks}
        await worker.kill()
        await emptied(redis)
        await worker.start()
        await scene.calm()
        reasons: list[str] = []
        for talk in talks:
            (reader,) = talk.readers
            await reader.until_end()
            answer = reader.answer
            assert answer.status == "completed"
            assert nonce_of(answer) != before[talk.key]
            assert reader.text == text_meant(talk, 2), "another answer, whole, and nothing of the first"
            assert reader.taken_back == 1
            await scene.same(talk)
            assert len(scene.upstream.log.of(talk.request_id)) == 2
            desk = await scene.desk(0, talk.key.user)
            reasons = [reason for id_, reason in desk.resets if id_ == talk.request_id]
            assert reasons[-1] in RESETS, reasons
        figures(capsys, f"emptied, its node dead: {reasons}; not ready for {scene.unready_s(0):.1f} s")

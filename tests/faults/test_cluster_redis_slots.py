"""A Redis Cluster of three masters under two nodes: the whole life of requests whose owners lie on different masters."""

import asyncio

import pytest
from redis.crc import key_slot

from tests.support.redis_rig_more import ClusterRig
from tests.support.script import Script
from tests.support.talks import text_meant
from tests.support.trouble import WAIT_S, figures, trouble, until

pytestmark = [pytest.mark.needs("redis-server", "postgres"), pytest.mark.faults, pytest.mark.slow]

SHORT = Script(deltas=5, reseed=True)


async def test_a_whole_life_and_a_master_that_dies(tmp_path, postgres_server, capsys):
    """Asked through one node and read through both: run, waited for a person, decided, cancelled, listed, in the history,
    deleted. One master dies under running answers and comes back: those on it go on then, the others all the while."""
    async with (
        asyncio.timeout(3 * WAIT_S),
        ClusterRig(tmp_path / "redis") as rig,
        trouble(tmp_path, nodes=2, redis=rig, postgres=postgres_server, lease_s=5.0) as scene,
    ):
        homes: dict[str, int] = {}

        async def server_of(tag):
            return rig.servers[homes[tag]]

        scene.server_of = server_of
        for shard in range(64):
            tag = f"{{h{shard}}}"
            homes[tag] = await rig.owner(key_slot(tag.encode()))

        talks = await scene.ask(6, script=SHORT, chat_id=None)
        await scene.check(talks)
        asked = {scene.home(talk) for talk in talks}
        where = {homes[tag] for tag in asked}
        assert len(where) >= 2, "its owners are to lie on several masters"

        (waiting,) = await scene.ask(1, script=None, agent="waiter")
        await until(lambda: all(reader.answer.status == "waiting" for reader in waiting.readers))
        answer = waiting.readers[0].answer
        await answer.decide("go", True, digest=answer.parts[-1].fields["digest"])
        await scene.check([waiting], reasons=("first", "resumed"))

        (ended,) = await scene.ask(1)
        await scene.shown([ended])
        desk = await scene.desk(1, ended.key.user)
        assert (await desk.client.cancel(ended.request_id)).won
        for reader in ended.readers:
            await reader.until_end()
            assert reader.answer.status == "cancelled"
        await scene.same(ended)

        (chat,) = await scene.ask(1, script=SHORT, chat_id="the-chat")
        await scene.check([chat])
        desk = await scene.desk(1, chat.key.user)
        rows = (await desk.client.messages("the-chat")).messages
        assert [row.text for row in rows] == [text_meant(chat), "Go on."]
        await desk.client.delete_chat("the-chat")

        talks = await scene.ask(6)
        await scene.shown(talks)
        lost = homes[scene.home(talks[0])]
        there = [talk for talk in talks if homes[scene.home(talk)] == lost]
        others = [talk for talk in talks if talk not in there]
        assert others
        await rig.servers[lost].kill()
        await scene.troubled("Redis")
        shown = [len(talk.readers[0].text) for talk in others]
        scene.upstream.release()
        for talk, was in zip(others, shown, strict=True):
            await until(lambda talk=talk, was=was: len(talk.readers[0].text) > was, "others stand still too")  # type: ignore[misc]
        await rig.servers[lost].start()
        await rig.servers[lost].loaded()
        await scene.calm()
        await scene.check(talks)
        figures(capsys, f"cluster: owners on masters {where}; one away for {scene.unready_s(0):.1f} s")

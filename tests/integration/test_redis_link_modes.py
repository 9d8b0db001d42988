"""The connection by sentinels and to a Redis Cluster, of real processes: found, lost and found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast_server.stores.base import Unavailable
from holdfast_server.stores.redis.address import Address
from holdfast_server.stores.redis.cluster import slot_of
from holdfast_server.stores.redis.link import Call, Link
from tests.support.redis_links import failure, linked, until, works_again
from tests.support.redis_rig_more import ClusterRig, SentinelRig

pytestmark = [pytest.mark.needs("redis-server")]

TAGS = [f"{{h{number}}}" for number in range(64)]


async def test_sentinels(tmp_path: Path) -> None:
    """The master is found by sentinels, one of them dead; after a failover the new one, with functions and messages."""
    async with SentinelRig(tmp_path) as rig:
        await rig.sentinels[0].kill()
        async with linked(rig.url) as link:
            gaps: list[int] = []
            heard: list[bytes] = []
            link.on_gap(lambda: gaps.append(1))
            link.on_message(lambda channel, body: heard.append(body))
            await link.subscribe("hf:all")
            assert await link.call("add", "{h1}", 2) == 2
            await rig.sentinels[0].start()
            await rig.cut()
            assert await link.call("add", "{h1}", 2) == 4
            await rig.promote()
            # The old master lives on: it is left, because the sentinels say so, and what only it had is lost.
            await until(lambda: len(gaps) == 1)
            assert await works_again(link) == 2
            await link.publish("hf:all", b"on")
            await until(lambda: heard == [b"on"])
            with pytest.raises(Unavailable, match="knows no master"):
                await Link.connect(Address.parse(rig.url.replace("mymaster", "other")), name="test", wait_s=0)


async def test_master_dies(tmp_path: Path) -> None:
    """When the master is killed calls fail until the sentinels have made a new one, and then go on by themselves."""
    async with SentinelRig(tmp_path) as rig, linked(rig.url) as link:
        assert await link.call("add", "{h1}", 3) == 3
        assert await link.raw("WAIT", 1, 5000) == 1
        await rig.master.kill()
        await failure(link)
        assert link.trouble is not None
        assert await works_again(link, wait_s=30) in {3, 4}


async def test_cluster(tmp_path: Path) -> None:
    """Every call reaches the server that has its slot, in one round, with errors per item; messages reach everybody."""
    async with ClusterRig(tmp_path) as rig, linked(rig.url) as link, linked(rig.url) as other:
        answers = await link.call_many([Call("add", tag, (number,)) for number, tag in enumerate(TAGS)])
        assert answers == list(range(64))
        assert len({await rig.owner(slot_of(tag.encode())) for tag in TAGS[:12]}) == 3
        assert await link.raw("GET", "{h9}:sum") == b"9"
        heard: list[bytes] = []
        gaps: list[int] = []
        other.on_message(lambda channel, body: heard.append(body))
        other.on_gap(lambda: gaps.append(1))
        await other.subscribe("hf:all")
        await link.raw_many([("PUBLISH", f"{{h{number}}}", b"") for number in range(3)])
        await link.publish("hf:all", b"all")
        await until(lambda: heard == [b"all"])

        # Functions lost on one of three.
        await rig.servers[1].do("FUNCTION", "FLUSH")
        assert await link.call_many([Call("add", tag, (0,)) for tag in TAGS]) == answers

        # A slot that moves is followed.
        tag = "{moves}"
        slot = slot_of(tag.encode())
        now = await rig.owner(slot)
        await rig.move(slot, (now + 1) % 3)
        assert await link.call("add", tag, 7) == 7
        assert await rig.servers[(now + 1) % 3].do("GET", f"{tag}:sum") == b"7"

        # One of them dies: its slots are away, the others are not.
        dead = await rig.owner(slot_of(b"{h1}"))
        living = [tag for tag in TAGS if await rig.owner(slot_of(tag.encode())) != dead][0]  # noqa: RUF015
        await rig.servers[dead].kill()
        await failure(link)
        assert link.trouble is not None
        assert await works_again(link, living) is not None
        await rig.servers[dead].start()
        assert await works_again(link) == 1
        await until(lambda: link.trouble is None)

"""The connection by sentinels and to a Redis Cluster, of real processes: found, lost and found again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from holdfast_server.stores.base import StoreError, Unavailable
from holdfast_server.stores.redis import cluster
from holdfast_server.stores.redis.address import Address
from holdfast_server.stores.redis.cluster import slot_of
from holdfast_server.stores.redis.link import Call, Link
from holdfast_server.stores.redis.store import RedisStore
from tests.support.redis_links import BACK_S, failure, linked, until, works_again
from tests.support.redis_rig import RedisServer
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


async def test_the_other_scheme_is_named(tmp_path: Path) -> None:
    """Whoever takes a node of a cluster for a single server, or the reverse, is told how the address begins."""
    async with RedisServer(tmp_path / "node", {"cluster-enabled": "yes"}) as node:
        await node.loaded()
        for slots in (None, (0, 5000)):  # of one that has no slots yet, and of one that has others' too
            if slots is not None:
                await node.do("CLUSTER", "ADDSLOTSRANGE", *slots)
            with pytest.raises(Unavailable, match=r"begins with redis\+cluster://"):
                await RedisStore(node.url).start()
    async with RedisServer(tmp_path / "single") as single:
        await single.loaded()
        address = Address.parse(single.url.replace("redis://", "redis+cluster://").removesuffix("/0"))
        with pytest.raises(Unavailable, match="begins with redis://"):
            await Link.connect(address, name="test", wait_s=0)


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

        # Each of them whose settings may not be read is named.
        for server in rig.servers:
            await server.do("ACL", "SETUSER", "default", "-config")
        async with linked(rig.url) as unsure:
            assert (
                len({warning.split(" does")[0] for warning in unsure.warnings}) == len(unsure.warnings) == 3
            )
        for server in rig.servers:
            await server.do("ACL", "SETUSER", "default", "+config")

        # Functions lost on one of three.
        await rig.servers[1].do("FUNCTION", "FLUSH")
        assert await link.call_many([Call("add", tag, (0,)) for tag in TAGS]) == answers

        # A slot that moves is followed.
        tag = "{moves}"
        slot = slot_of(tag.encode())
        now = await rig.owner(slot)
        await rig.move(slot, (now + 1) % 3)
        with structlog.testing.capture_logs() as said:
            assert await link.call_many([Call("add", tag, (7,))] * 3) == [7, 14, 21]
        assert [line["event"] for line in said].count("redis cluster has changed") == 1
        assert await rig.servers[(now + 1) % 3].do("GET", f"{tag}:sum") == b"21"

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


async def test_a_master_that_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A master that the others do not see any more is left, though it answers, and has the lowest slots: for calls, and for
    messages, of which a gap is reported."""
    monkeypatch.setattr(cluster, "REFRESH_AGAIN_S", 0.3)
    async with ClusterRig(tmp_path) as rig, linked(rig.url) as link:
        heard: list[bytes] = []
        gaps: list[int] = []
        link.on_message(lambda channel, body: heard.append(body))
        link.on_gap(lambda: gaps.append(1))
        await link.subscribe("hf:all")
        assert {server.wire.place[1] for server in link._servers.all() if server.wire} == {
            server.port for server in rig.servers
        }
        await rig.cut_off(0, to=1)
        async with asyncio.timeout(BACK_S):
            while b"on" not in heard:  # what is said while the connection moves is lost
                await rig.servers[1].do("PUBLISH", "hf:all", "on")
                await asyncio.sleep(0.1)
        assert gaps
        answers = await link.call_many([Call("add", tag, (1,)) for tag in TAGS])
        assert [answer for answer in answers if isinstance(answer, StoreError)] == []
        assert link.trouble is None

"""Messages between nodes through one real Redis: heard, and every gap in them reported; and settings that are refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import structlog

from holdfast_server.stores.base import Unavailable
from holdfast_server.stores.redis.address import Address
from holdfast_server.stores.redis.link import Link
from holdfast_server.stores.redis.store import RedisStore
from tests.support.redis_links import linked, until
from tests.support.redis_rig import RedisServer

pytestmark = [pytest.mark.needs("redis-server")]


class Ear:
    """What a link hears."""

    def __init__(self, link: Link) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.gaps = 0
        link.on_message(lambda channel, body: self.heard.append((channel, body)))
        link.on_gap(self._gap)

    def _gap(self) -> None:
        self.gaps += 1


async def test_messages(redis_server: RedisServer) -> None:
    """What is published on a channel is heard by those who subscribed to it, themselves included, and by no others."""
    async with linked(redis_server.url) as one, linked(redis_server.url) as other:
        ears = Ear(one), Ear(other)
        await one.subscribe("hf:all", "hf:n:one")
        await other.subscribe("hf:all")
        await other.publish("hf:n:one", b"\x00\xff")
        await other.publish("hf:all", b"to all")
        await until(lambda: len(ears[0].heard) == 2 and len(ears[1].heard) == 1)
        assert ears[0].heard == [("hf:n:one", b"\x00\xff"), ("hf:all", b"to all")]
        assert ears[1].heard == [("hf:all", b"to all")]
        await other.subscribe("hf:late")
        await one.publish("hf:late", b"")
        await until(lambda: ears[1].heard[1:] == [("hf:late", b"")])
        assert (ears[0].gaps, ears[1].gaps) == (0, 0)


async def test_gap_after_a_cut(redis_server: RedisServer) -> None:
    """After the connection was cut all channels are heard again, and one gap is reported, not before that."""
    async with linked(redis_server.url) as link:
        ear = Ear(link)
        await link.subscribe("hf:all", "hf:wake")
        for cut in (1, 2):
            assert await redis_server.do("CLIENT", "KILL", "TYPE", "pubsub") == 1
            await until(lambda number=cut: ear.gaps == number)  # type: ignore[misc]
            await link.publish("hf:all", str(cut).encode())
            await link.publish("hf:wake", str(cut).encode())
            await until(lambda number=cut: len(ear.heard) == 2 * number)  # type: ignore[misc]
        assert ear.gaps == 2


async def test_gap_after_a_full_buffer(redis_server: RedisServer) -> None:
    """A subscriber whose buffer Redis found too full is cut off by it; that is a gap too."""
    async with linked(redis_server.url) as link:
        ear = Ear(link)
        await link.subscribe("hf:all")
        await redis_server.do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
        try:
            # One message over the limit: it is cut off before it could have read it.
            await redis_server.do("PUBLISH", "hf:all", b"x" * 2_000_000)
            await until(lambda: ear.gaps == 1)
        finally:
            await redis_server.do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 64mb 16mb 60")
        await link.publish("hf:all", b"on")
        await until(lambda: ear.heard[-1:] == [("hf:all", b"on")])


async def test_gap_after_a_restart(tmp_path: Path) -> None:
    """A restart of Redis is a gap; an observer that fails takes nobody's message away."""
    async with RedisServer(tmp_path) as redis, linked(redis.url) as link:
        link.on_message(lambda channel, body: 1 / 0)  # type: ignore[arg-type]
        ear = Ear(link)
        await link.subscribe("hf:all")
        await redis.kill()
        with pytest.raises(Unavailable):
            await link.publish("hf:all", b"lost")
        assert ear.gaps == 0
        await redis.start()
        await until(lambda: ear.gaps == 1)
        await link.publish("hf:all", b"on")
        with structlog.testing.capture_logs() as said:
            await until(lambda: ear.heard == [("hf:all", b"on")])
        assert [line["event"] for line in said if line["log_level"] == "error"] in (
            [],
            ["an observer of messages failed"],
        )


async def test_an_outage_is_told_once(tmp_path: Path) -> None:
    """However often the connection of messages is tried again while Redis is away, one line says so and why, and one that it is
    back."""
    async with RedisServer(tmp_path) as redis, linked(redis.url) as link:
        ear = Ear(link)
        await link.subscribe("hf:all")
        with structlog.testing.capture_logs() as said:

            def lines(level: str) -> list[str | None]:
                events = ("redis bus is interrupted", "redis bus is back")
                return [
                    line.get("reason")
                    for line in said
                    if line["event"] in events and line["log_level"] == level
                ]

            await redis.kill()
            await until(lambda: len(lines("debug")) >= 4)
            assert lines("info") == []
            await redis.start()
            await until(lambda: ear.gaps == 1)
        told = lines(
            "warning"
        )  # that it was lost, that it cannot be had, perhaps that it still reads its data
        assert told
        assert len(set(told)) == len(told)
        assert len(lines("info")) == 1


async def test_silence_is_noticed(redis_server: RedisServer) -> None:
    """A Redis that stands still is found out without any message, and heard again afterwards, with a gap."""
    async with linked(redis_server.url) as link:
        ear = Ear(link)
        await link.subscribe("hf:all")
        redis_server.stop()
        with structlog.testing.capture_logs() as said:
            await until(lambda: any(line["event"] == "redis bus is interrupted" for line in said))
        redis_server.cont()
        await until(lambda: ear.gaps == 1)


REFUSED = [
    ({"maxmemory-policy": "allkeys-lru"}, "set its maxmemory-policy to noeviction"),
    ({"appendonly": "no"}, "set its appendonly to yes, or, if that may be, volatile_ok"),
    ({"client-output-buffer-limit": "pubsub 32mb 8mb 60"}, "set its client-output-buffer-limit"),
]


@pytest.mark.parametrize(("setting", "sentence"), REFUSED)
async def test_settings_are_refused(
    redis_server: RedisServer, setting: dict[str, str], sentence: str
) -> None:
    """A Redis that would lose what it is given is refused in one sentence that says what to change."""
    address = Address.parse(redis_server.url)
    ((name, value),) = setting.items()
    read = await redis_server.do("CONFIG", "GET", name)
    await redis_server.do("CONFIG", "SET", name, value)
    try:
        with pytest.raises(Unavailable) as caught:
            await Link.connect(address, name="test")
        assert sentence in str(caught.value)
        assert str(caught.value).count("\n") == 0
    finally:
        await redis_server.do("CONFIG", "SET", name, read[1])


@pytest.mark.parametrize("setting", [("appendfsync", "everysec"), ("appendonly", "no")])
async def test_power_is_promised_only_where_it_is_kept(
    redis_server: RedisServer, setting: tuple[str, str]
) -> None:
    """With `durability = "power"` a node does not start on a Redis that acknowledges before it has written to disk; without,
    and where Redis does both, it does."""
    address = Address.parse(redis_server.url)
    await redis_server.do("CONFIG", "SET", "appendfsync", "always")
    try:
        store = RedisStore(redis_server.url, durability="power")
        await store.start()
        await store.close()
        await redis_server.do("CONFIG", "SET", *setting)
        with pytest.raises(Unavailable, match="appendfsync to always") as caught:
            await RedisStore(redis_server.url, durability="power", volatile_ok=True).start()
        assert str(caught.value).count("\n") == 0
        await (await Link.connect(address, name="test", volatile_ok=True)).close()
    finally:
        await redis_server.do("CONFIG", "SET", "appendonly", "yes")
        await redis_server.do("CONFIG", "SET", "appendfsync", "everysec")


async def test_settings_that_are_accepted(redis_server: RedisServer) -> None:
    """A Redis without a file is taken where the configuration says so, and an unlimited buffer is large enough."""
    await redis_server.do("CONFIG", "SET", "appendonly", "no")
    await redis_server.do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
    try:
        async with linked(redis_server.url, volatile_ok=True) as link:
            assert link.warnings == []
    finally:
        await redis_server.do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 64mb 16mb 60")
        await redis_server.do("CONFIG", "SET", "appendonly", "yes")


async def test_settings_that_may_not_be_read(redis_server: RedisServer) -> None:
    """Where the user may not read the settings it goes on, with a warning; its password is in no message."""
    rules = "on >swordfish ~* &* +@all -@admin -@dangerous +info -info"
    await redis_server.do("ACL", "SETUSER", "ann", *rules.split())
    try:
        url = redis_server.url.replace("//", "//ann:swordfish@")
        with structlog.testing.capture_logs() as said:
            async with linked(url) as link:
                assert await link.call("add", "{h1}", 2) == 2
                (warning,) = link.warnings
                assert "version, maxmemory-policy, appendonly" in warning
            with pytest.raises(Unavailable, match=r"user, or the password") as caught:
                await Link.connect(Address.parse(url.replace("sword", "cat")), name="test", wait_s=0)
            await redis_server.do("ACL", "SETUSER", "ann", "-fcall")
            async with linked(url) as link:
                with pytest.raises(Unavailable, match="may not do this"):
                    await link.call("add", "{h1}", 2)
        words = f"{said} {caught.value}"
        assert "swordfish" not in words
        assert "catfish" not in words
        assert any(line["event"] == "redis settings" for line in said)
    finally:
        await redis_server.do("ACL", "DELUSER", "ann")


async def test_no_password_where_one_is_wanted(tmp_path: Path) -> None:
    """Without the password that Redis wants, connecting says where to put it; with it, it works."""
    async with RedisServer(tmp_path, {"requirepass": "swordfish"}) as redis:
        with pytest.raises(Unavailable, match="wants a password"):
            await Link.connect(Address.parse(redis.url), name="test", wait_s=0)
        async with linked(redis.url.replace("//", "//:swordfish@")) as link:
            assert await link.call("add", "{h1}", 1) == 1
            await asyncio.sleep(0)

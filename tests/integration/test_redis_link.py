"""The connection to one real Redis: calls, errors per item, and every way in which it may be away and come back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from holdfast_server.stores.base import StorageFull, StoreError, Unavailable
from holdfast_server.stores.redis.address import Address
from holdfast_server.stores.redis.link import Call, Faulty, Link, RefusedByFunction
from holdfast_server.stores.redis.wire import COMMAND_S
from tests.support.redis_links import LIBRARY, NAME, failure, linked, until, works_again
from tests.support.redis_rig import RedisServer

pytestmark = [pytest.mark.needs("redis-server")]

SLACK_S = 4.0  # a busy machine, on top of a deadline


async def test_calls_answer(redis_server: RedisServer) -> None:
    """A function that was loaded answers, and raw commands do."""
    async with linked(redis_server.url) as link:
        assert await link.call("add", "{h1}", 3) == 3
        assert await link.raw("GET", "{h1}:sum") == b"3"
        assert await link.raw("SET", "{h1}:x", b"v", "PX", 60_000, "NX") == b"OK"
        assert await link.raw("SET", "{h1}:x", b"w", "PX", 60_000, "NX") is None
        assert link.trouble is None
        assert link.version.startswith(("redis 7.", "redis 8.", "valkey "))


async def test_errors_per_item(redis_server: RedisServer) -> None:
    """In a pipeline each item has its own answer or error, in order, and none fails its neighbours."""
    async with linked(redis_server.url) as link:
        calls = [Call("add", "{h1}", (amount,)) for amount in (1, -5, 2)]
        calls[2:2] = [Call("broken", "{h1}"), Call("add", "{h2}", (7,))]
        first, refused, faulty, other, last = await link.call_many(calls)
        assert (first, other, last) == (1, 7, 3)
        assert isinstance(refused, RefusedByFunction)
        assert refused.text == "NEGATIVE -5"
        assert isinstance(faulty, Faulty)
        assert await link.call_many([]) == []
        with pytest.raises(RefusedByFunction, match="NEGATIVE"):
            await link.call("add", "{h1}", -1)


async def test_concurrent_calls_keep_apart(redis_server: RedisServer) -> None:
    """Many callers at once get their own answers, also while others of them are cancelled."""
    async with linked(redis_server.url) as link:

        async def one(number: int) -> None:
            for turn in range(5):
                assert await link.raw("ECHO", f"{number}-{turn}") == f"{number}-{turn}".encode()

        before = await link.raw("CLIENT", "ID")
        tasks = [asyncio.create_task(one(number)) for number in range(60)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [outcome for outcome in ended if outcome is not None] == [
            outcome for outcome in ended if isinstance(outcome, asyncio.CancelledError)
        ]
        assert await link.raw("CLIENT", "ID") == before, "a cancelled call cost the connection"


async def test_functions_are_loaded_again(redis_server: RedisServer) -> None:
    """Functions that Redis has lost are loaded by the next call, once for all who miss them."""
    async with linked(redis_server.url) as link:
        await redis_server.do("FUNCTION", "FLUSH")
        await redis_server.do("CONFIG", "RESETSTAT")
        answers = await asyncio.gather(*(link.call("add", "{h1}", 1) for _ in range(20)))
        assert sorted(answers) == list(range(1, 21))
        stats = await redis_server.do("INFO", "commandstats")
        assert stats["cmdstat_function|load"]["calls"] == 1
        await redis_server.do("FUNCTION", "FLUSH")
        assert await link.call_many([Call("add", "{h1}", (1,)), Call("add", "{h1}", (1,))]) == [21, 22]


async def test_library_that_does_not_compile(redis_server: RedisServer) -> None:
    """A library that Redis refuses says why."""
    async with linked(redis_server.url) as link:
        with pytest.raises(Faulty, match=r"syntax|compil"):
            await link.load("#!lua name=holdfast_bad\nthis is not Lua", "holdfast_bad")


async def test_killed_and_started_again(tmp_path: Path) -> None:
    """While Redis is dead calls fail at once, and by themselves go on when it is back; what it has lost is loaded again."""
    async with RedisServer(tmp_path) as redis, linked(redis.url) as link:
        assert await link.call("add", "{h1}", 5) == 5
        await redis.do("WAITAOF", 1, 0, 2000) if await _is_new(redis) else await asyncio.sleep(1.1)
        await redis.kill()
        error, took_s = await failure(link)
        assert not isinstance(error, StorageFull)
        assert took_s < SLACK_S
        await until(lambda: link.trouble is not None and "cannot be reached" in link.trouble)
        _, took_s = await failure(link)
        assert took_s < 1.0 + SLACK_S
        await redis.start()
        assert await works_again(link) == 5
        await until(lambda: link.trouble is None)
        await redis.kill()
        redis.wipe()
        await redis.start()
        assert await works_again(link) == 0


async def _is_new(redis: RedisServer) -> bool:
    return int((await redis.do("INFO", "server"))["redis_version"].split(".")[1]) >= 2


async def test_stands_still(redis_server: RedisServer) -> None:
    """A Redis that is stopped is left at the deadline, and nothing that waited to be sent reaches it later."""
    async with linked(redis_server.url) as link:
        redis_server.stop()
        # More than any buffer on the way takes: the rest is still here when the connection is given up.
        big = [Call("fill", "{h1}", (b"x" * 1_000_000,)) for _ in range(40)]
        began = asyncio.get_running_loop().time()
        outcomes = await link.call_many(big)
        assert all(isinstance(outcome, Unavailable) for outcome in outcomes)
        assert COMMAND_S - 0.1 < asyncio.get_running_loop().time() - began < COMMAND_S + SLACK_S
        assert link.trouble is not None
        redis_server.cont()
        assert await works_again(link) == 0
        assert int(await link.raw("LLEN", "{h1}:list")) < len(big)
        await until(lambda: link.trouble is None)


async def test_lost_reply(redis_server: RedisServer) -> None:
    """What was done and never answered raises Unavailable at the deadline, and is not sent again."""
    async with linked(redis_server.url) as link:
        began = asyncio.get_running_loop().time()
        silent, counted = await link.raw_many([("CLIENT", "REPLY", "SKIP"), ("INCRBY", "{h1}:sum", 1)])
        assert isinstance(silent, Unavailable)
        assert isinstance(counted, Unavailable)
        assert COMMAND_S - 0.1 < asyncio.get_running_loop().time() - began < COMMAND_S + SLACK_S
        assert await works_again(link) == 1


async def test_slow_script(tmp_path: Path) -> None:
    """A script that never ends makes calls fail at the deadline; when it is killed they go on."""
    async with RedisServer(tmp_path, {"busy-reply-threshold": "200"}) as redis, linked(redis.url) as link:
        spinning = asyncio.create_task(link.call("spin", "{h1}"))
        with pytest.raises(Unavailable):
            await spinning
        error, _ = await failure(link)
        assert "busy" in str(error) or "answer" in str(error)
        await redis.do("FUNCTION", "KILL")
        assert await works_again(link) == 0


async def test_full(redis_server: RedisServer) -> None:
    """A full Redis refuses writes with StorageFull, and functions that it has not; reads go on, and the trouble says what to
    do."""
    async with linked(redis_server.url) as link:
        await link.call("add", "{h1}", 4)
        await redis_server.do("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(StorageFull, match="maxmemory"):
                await link.call("add", "{h1}", 1)
            assert link.trouble is not None
            assert "maxmemory" in link.trouble
            assert await link.call("sum", "{h1}") == b"4"
            await link.load(LIBRARY.source, LIBRARY.name)  # they are there: nothing is written
            async with linked(redis_server.url) as other:
                assert await other.call("sum", "{h1}") == b"4"
            with pytest.raises(StorageFull, match="maxmemory"):
                await link.load(LIBRARY.source.replace(NAME, "holdfast_new"), "holdfast_new")
            await link.load(LIBRARY.source, LIBRARY.name)
        finally:
            await redis_server.do("CONFIG", "SET", "maxmemory", "0")
        assert await link.call("add", "{h1}", 0) == 4
        await until(lambda: link.trouble is None)


async def test_becomes_a_replica(redis_server: RedisServer) -> None:
    """A master that is demoted is not written to any more, and its trouble is said; promoted, it is used again."""
    async with linked(redis_server.url) as link:
        await redis_server.do("REPLICAOF", "127.0.0.1", "1")
        try:
            error, _ = await failure(link)
            assert "replica" in str(error)
            await until(lambda: "its master is wanted" in (link.trouble or ""))
        finally:
            await redis_server.do("REPLICAOF", "NO", "ONE")
        assert await works_again(link) == 0


async def test_disk_trouble(tmp_path: Path) -> None:
    """A Redis that cannot save takes nothing, which passes when it can."""
    options = {"save": "3600 1", "stop-writes-on-bgsave-error": "yes"}
    async with RedisServer(tmp_path, options) as redis, linked(redis.url) as link:
        data = tmp_path / "data"
        (data / "dump.rdb").mkdir()  # what it writes cannot be moved there
        await link.call("add", "{h1}", 1)
        await redis.do("BGSAVE")
        error, _ = await failure(link)
        assert "cannot write to its disk" in str(error)
        (data / "dump.rdb").rmdir()
        await redis.do("BGSAVE")
        assert await works_again(link)


async def test_loading(tmp_path: Path) -> None:
    """While Redis reads its data calls fail with a sentence that says so, and then go on."""
    options = {"appendonly": "no", "save": "3600 1000000"}
    async with RedisServer(tmp_path, options) as redis, linked(redis.url, volatile_ok=True) as link:
        await link.raw_many([("SET", f"{{h1}}:{number}", b"x" * 2000) for number in range(300)])
        await redis.terminate()
        # As if the file were large: microseconds for each of its keys, and a look at the clients between them.
        redis.options.update({"key-load-delay": "5000", "loading-process-events-interval-bytes": "1024"})
        await redis.start()
        await until(lambda: "reading its data" in (link.trouble or ""))
        error, _ = await failure(link)
        assert "reading its data" in str(error)
        assert await works_again(link) == 0


async def test_lost_for_good(tmp_path: Path) -> None:
    """Closing the link ends what is under way, and nothing of it runs on."""
    async with RedisServer(tmp_path) as redis, linked(redis.url) as link:
        redis.stop()
        waiting = asyncio.create_task(link.call("add", "{h1}", 1))
        await asyncio.sleep(0.05)
        await link.close()
        with pytest.raises(StoreError):
            await waiting
        with pytest.raises(StoreError):
            await link.call("add", "{h1}", 1)
        redis.cont()


async def test_not_there(tmp_path: Path) -> None:
    """Where there is no Redis, connecting says where it looked, without the password."""
    address = Address.parse("redis://ann:swordfish@127.0.0.1:1/0")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 cannot be reached") as caught:
        await Link.connect(address, name="test", wait_s=0.2)
    assert "swordfish" not in str(caught.value)

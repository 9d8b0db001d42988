"""Nodes that die, freeze, are cut off or lose an answer: who runs what then, and who may still write."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import structlog

from holdfast_protocol import events as ev
from holdfast_server.stores.base import Fenced, StorageFull, Unavailable
from holdfast_server.stores.redis import follow
from holdfast_server.stores.redis.keys import prefix_of, tag_of
from holdfast_server.stores.redis.link import Link
from tests.support.journals import ANN
from tests.support.redis_nodes import LEASE_S, Cluster, owners_apart, running, until
from tests.support.redis_rig import RedisServer
from tests.support.scribe import Held, key, text_of

pytestmark = [pytest.mark.needs("redis-server")]

TAKEOVER_S = LEASE_S + 1.0  # what is promised
SLOW_S = 5.0  # and what a busy machine may add

ROOT = Path(__file__).resolve().parents[2]

FROZEN = """
import asyncio, sys
from holdfast_server.stores.redis.store import RedisStore
from tests.support.redis_nodes import LEASE_S, Node
from holdfast_server.stores.base import Fenced

async def main():
    store = RedisStore(sys.argv[1], lease_s=LEASE_S)
    await store.start()
    held = await Node(store).claim()
    await held.begin()
    print("holding", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    held.say("from the grave")
    try:
        await held.writer.flush()
        print("written", flush=True)
    except Fenced:
        print("fenced", flush=True)
    await store.close()

asyncio.run(main())
"""


async def field(redis: RedisServer, held: Held, name: str) -> bytes | None:
    """A field of the journal's hash."""
    value: bytes | None = await redis.do("HGET", f"{prefix_of(held.key)}:h", name)
    return value


# -- death -----------------------------------------------------------------------------------------------------------


async def test_what_a_dead_node_ran_is_taken(cluster: Cluster, redis_server: RedisServer) -> None:
    """Its requests are claimed by another as recovered, under a higher term, as soon as its leases have ended and not
    before; what it had written stands."""
    one, two = await cluster.node(), await cluster.node()
    held = [await running(one, owner=owner) for owner in owners_apart(4)]
    held[0].say("so far")
    await held[0].writer.flush()
    await until(lambda: len(two.store._claims.members) == 2)
    await one.cut()
    cut = time.monotonic()
    assert await two.store.claim() is None
    with structlog.testing.capture_logs() as lines:
        taken = [await two.claim() for _ in held]
        await until(lambda: len(two.store._claims.members) == 1)
    assert time.monotonic() - cut < TAKEOVER_S + SLOW_S
    gone = [line for line in lines if line["event"] == "a node is gone"]
    assert [(line["node"], line["log_level"]) for line in gone] == [(one.store._claims._node, "info")]
    assert {(again.claim.how, again.claim.term) for again in taken} == {("recovered", 2)}
    assert {again.key for again in taken} == {old.key for old in held}
    again = next(again for again in taken if again.key == held[0].key)
    assert text_of(again.log) == "so far"
    assert await field(redis_server, again, "deaths") == b"1"


async def test_a_living_node_is_left_alone(cluster: Cluster) -> None:
    """While a node renews, nobody takes what it runs, however long it writes nothing."""
    one, two = await cluster.node(), await cluster.node()
    held = await running(one)
    await asyncio.sleep(LEASE_S * 2)
    assert await two.store.claim() is None
    held.say("still here")
    await held.writer.flush()
    assert text_of(held.log) == "still here"


async def test_a_release_is_no_strike(cluster: Cluster, redis_server: RedisServer) -> None:
    """Handed over, or left by a node that closes: the next goes on at once, and nothing is held against the request."""
    one, two = await cluster.node(), await cluster.node()
    held = await running(one)
    await one.store.release(held.claim)
    again = await two.claim()
    assert again.claim.how == "handed_over"
    await two.store.close()
    last = await one.claim()
    assert last.claim.how == "recovered"
    assert last.claim.term == 3
    assert await field(redis_server, last, "deaths") == b"0"


async def test_the_clock_of_a_node_plays_no_role(cluster: Cluster) -> None:
    """A node hours ahead takes nothing from the others, and one hours behind keeps what it has."""
    hours_ms = 5 * 3_600_000
    ahead = await cluster.node(now_ms=lambda: round(time.time() * 1000) + hours_ms)
    behind = await cluster.node(now_ms=lambda: round(time.time() * 1000) - hours_ms)
    held = await running(behind)
    await asyncio.sleep(LEASE_S * 2)
    assert await ahead.store.claim() is None
    held.say("mine")
    await held.writer.flush()
    await behind.cut()
    assert (await ahead.claim()).claim.how == "recovered"


async def test_who_takes_and_who_leaves_knows_it_at_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that takes what a dead one ran, or gives everything back itself, has its own logs so when that is done: it does
    not depend on messages or the next look."""
    monkeypatch.setattr(follow, "TICK_S", 3600.0)
    one, two = await cluster.node(), await cluster.node()
    held = await running(one)
    log = await two.store.log(held.key)
    assert log.lease
    two.store._link._bus._message_observers.clear()
    await one.cut()
    await until(lambda: not log.lease)
    mine = await two.claim()
    assert mine.log is log
    assert log.lease
    await two.store.close()
    assert not log.lease


# -- zombies ---------------------------------------------------------------------------------------------------------


async def test_an_append_on_its_way_is_fenced(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """1. The holder sends an append, which is held before it reaches Redis. 2. Its lease ends, and another claims and
    writes. 3. The append arrives: it is refused whole."""
    one, two = await cluster.node(), await cluster.node()
    held = await running(one)
    gate = asyncio.Event()
    real = Link.call_many

    async def late(link: Link, calls: Any) -> list[Any]:
        if link is one.store._link:
            await gate.wait()
        return await real(link, calls)

    monkeypatch.setattr(Link, "call_many", late)
    held.say("too late")
    flush = asyncio.ensure_future(held.writer.flush())
    again = await two.claim()
    await again.begin("recovered", attempt=2, keep="none")
    again.say("the answer")
    await again.writer.flush()
    gate.set()
    with pytest.raises(Fenced):
        await flush
    with pytest.raises(Fenced):
        await one.store.release(held.claim)
    await again.complete()
    assert text_of(await two.store.log(held.key)) == "the answer"
    terms = [event.term for event in again.log.events if isinstance(event, ev.Started)]
    assert terms == [1, 2]


async def test_a_node_that_was_not_replaced_goes_on(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that ended while nobody looked is renewed when its node comes back: the run goes on under its term."""
    one = await cluster.node()
    held = await running(one)
    gate = asyncio.Event()
    real = Link.call_many

    async def late(link: Link, calls: Any) -> list[Any]:
        await gate.wait()
        return await real(link, calls)

    monkeypatch.setattr(Link, "call_many", late)
    await asyncio.sleep(LEASE_S * 2)
    gate.set()
    two = await cluster.node()
    held.say("back")
    await held.writer.flush()
    await asyncio.sleep(LEASE_S * 2)
    assert await two.store.claim() is None
    await held.complete()
    assert held.claim.term == held.log.term


async def test_a_frozen_process_is_fenced_when_it_wakes(cluster: Cluster, redis_server: RedisServer) -> None:
    """SIGSTOP for longer than the lease: another takes over in time, and what the frozen one writes then is refused."""
    node = await cluster.node()
    await node.scribe.open()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FROZEN, redis_server.url, cwd=ROOT, stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await said(process.stdout, b"holding")
        process.send_signal(signal.SIGSTOP)
        frozen = time.monotonic()
        again = await node.claim()
        assert time.monotonic() - frozen < TAKEOVER_S + SLOW_S
        assert again.claim.how == "recovered"
        process.send_signal(signal.SIGCONT)
        process.stdin.write(b"\n")
        assert await said(process.stdout, b"fenced", b"written") == b"fenced"
        await again.begin("recovered", attempt=2, keep="none")
        again.say("one answer")
        await again.complete()
        assert text_of(again.log) == "one answer"
        await asyncio.wait_for(process.wait(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# -- answers that are lost -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [0, 1])
async def test_a_lost_answer_to_a_claim_leaks_nothing(
    cluster: Cluster, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    """A claim that Redis made and the node never heard of goes back, without a strike, whether the node holds others there
    or not."""
    node = await cluster.node()
    for number in range(others):
        await running(node, f"other{number}")
    await node.scribe.open("lost")
    real = Link.call_many
    lost = 0

    async def deaf(link: Link, calls: Any) -> list[Any]:
        nonlocal lost
        answers = await real(link, calls)
        if lost == 0 and any(call.function == "claim" for call in calls):
            lost += 1
            return [Unavailable("the answer was lost") for _ in calls]
        return answers

    monkeypatch.setattr(Link, "call_many", deaf)
    with pytest.raises(Unavailable):
        await node.store.claim()
    assert lost == 1
    again = await node.claim()
    assert (again.key, again.claim.term) == (key("lost"), 2)
    assert await field(redis_server, again, "deaths") == b"0"
    assert node.store._claims.running == others + 1


async def test_a_stray_claim_goes_back_while_another_node_looks(
    cluster: Cluster, redis_server: RedisServer
) -> None:
    """Also a claim that Redis makes long after the node gave it up is no death of anybody."""
    one, two = await cluster.node(), await cluster.node()
    await running(one, "mine")
    await one.scribe.open("stray")
    tag = tag_of(ANN)
    terms = one.store._claims._terms()
    answer = await one.store._link.call(
        "claim", tag, one.store.node, round(LEASE_S * 1000), 0, "feedbeef", *terms
    )
    assert len(answer[0]) == 1
    again = await two.claim()
    assert (again.key, again.claim.how) == (key("stray"), "first")
    assert await field(redis_server, again, "deaths") == b"0"


async def test_a_node_that_starts_while_redis_is_full_takes_over(
    cluster: Cluster, redis_server: RedisServer
) -> None:
    """With no memory left a node starts, and shows what is there; what a dead node ran waits without harm, and goes on when
    there is room."""
    one = await cluster.node()
    held = await running(one)
    held.say("before")
    await held.writer.flush()
    await redis_server.do("CONFIG", "SET", "maxmemory", "1")
    try:
        two = await cluster.node()
        log = await two.store.log(held.key)
        assert text_of(log) == "before"
        await one.cut()
        await until(lambda: not log.lease)
        with pytest.raises(StorageFull):
            await two.store.claim()
    finally:
        await redis_server.do("CONFIG", "SET", "maxmemory", "0")
    again = await two.claim()
    assert (again.key, again.claim.how, again.claim.term) == (held.key, "recovered", 2)
    assert await field(redis_server, again, "deaths") == b"1"
    await again.begin()
    await again.complete()


async def said(output: asyncio.StreamReader, *words: bytes) -> bytes:
    """The first of these words that a program says on a line of its own."""
    async with asyncio.timeout(20):
        while (line := await output.readline()).strip() not in words:
            assert line, "it ended"
    return line.strip()

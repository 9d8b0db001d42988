"""What interleaves badly: losses beside appends under way, terms that went on from less, and changes made by who looks at none."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from holdfast_protocol import events as ev
from holdfast_server.stores.base import Owner, StoreError, Summary, Unavailable
from holdfast_server.stores.redis import appends, follow, wire
from holdfast_server.stores.redis.calls import Calls
from holdfast_server.stores.redis.keys import prefix_of
from holdfast_server.stores.redis.link import Call
from tests.support.journals import ANN, Clock, accepted_of, asked
from tests.support.redis_rig import RedisServer
from tests.support.redis_stores import Peer, peers, photograph, put_back, same, stored, until
from tests.support.scribe import Held, cancelled, decision, key, steer, text_of

pytestmark = [pytest.mark.needs("redis-server")]


async def _nothing(*, everything: bool = False) -> None:
    """Does not look."""


def deafen(peer: Peer) -> None:
    """It hears nothing of the others, and does not look."""
    peer.store._follow.look = _nothing  # type: ignore[method-assign]
    peer.store._messages.take = lambda channel, data: None  # type: ignore[method-assign]


async def test_what_another_term_went_on_from_is_not_mixed(redis_server: RedisServer) -> None:
    """The end of a term is lost with its writer, and the next term goes on from what is left, beyond where a reader was: the
    reader is told; it never shows the one's beginning with the other's end."""
    async with peers(redis_server.url, Clock(), 3, lease_s=1.0) as (a, b, c):
        held = await a.running()
        held.say("kept ")
        await held.writer.flush()
        old = await photograph(redis_server)
        seen = await b.store.log(key())
        for _ in range(6):
            held.say("lost ")
            await held.writer.flush()
        await until(lambda: seen.tail == held.log.tail)
        deafen(a)
        await a.store._claims._presence._tasks.close()  # it is frozen
        await put_back(redis_server, old)
        await asyncio.wait_for(c.store.claimable(), 10)
        other = await c.claim()
        await other.begin("recovered", attempt=2)
        for turn in range(20):
            other.say(f"{turn} ")
            await other.writer.flush()
        await other.complete()
        await until(lambda: seen.lost or seen.sealed)
        assert seen.lost
        assert text_of(seen) == "kept " + "lost " * 6
        assert same(await b.store.log(key()), other.log)


async def test_a_loss_that_is_seen_twice_at_once_is_mended(redis_server: RedisServer) -> None:
    """1. An append is on its way to a Redis that has lost the journal. 2. The node's look finds it lost too. 3. The append's
    answer comes. The writer writes it all again and goes on."""
    async with peers(redis_server.url, Clock(), 1) as (a,):
        held = await a.running()
        held.say("one ")
        await held.writer.flush()
        before = await stored(redis_server, key())
        through = a.store._link.call_many
        words: list[bytes] = []

        async def looking(calls: Sequence[Call]) -> list[Any]:
            got = await through(calls)
            for call, answer in zip(calls, got, strict=True):
                if call.function == "append" and not isinstance(answer, StoreError):
                    words.append(answer[0])
                    if answer[0] != b"OK":
                        a.store._appends.repair(held.log)
            return got

        a.store._link.call_many = looking  # type: ignore[method-assign]
        await put_back(redis_server, {})
        held.say("two")
        await asyncio.wait_for(held.writer.flush(), 10)
        assert words[0] == b"GONE"
        assert (await stored(redis_server, key()))[: len(before)] == before
        assert text_of(held.log) == "one two"


async def test_many_losses_are_mended_though_they_are_more_than_the_wire_takes(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a node writes is lost, and is more than may be under way to Redis at once: it is written again bit by bit."""
    monkeypatch.setattr(wire, "PENDING_BYTES_MAX", 150_000)
    monkeypatch.setattr(appends, "BATCH_BYTES_MAX", 50_000)
    async with peers(redis_server.url, Clock(), 1) as (a,):
        held = [await a.running(f"r{number}") for number in range(5)]
        for one in held:
            one.say("x" * 40_000)
            await one.writer.flush()
        await put_back(redis_server, {})
        for one in held:
            one.say("y")
        async with asyncio.timeout(10):
            for one in held:
                await one.writer.flush()


async def test_who_comes_after_one_that_is_written_again(redis_server: RedisServer) -> None:
    """1. Two requests of a chat are lost, and opened again. 2. The node that ran the first writes it again instead. 3. It
    ends. The second may be claimed."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        held = await a.running()
        held.say("first")
        await held.writer.flush()
        deafen(a)
        await put_back(redis_server, {})
        record = asked("r1", chat_id=None)
        accepted = msgspec.structs.replace(accepted_of(record), nonce="0ther000")
        await b.store.open(record, accepted)
        await b.open("r2", after="r1")
        held.say("!")
        await asyncio.wait_for(held.complete(), 10)
        await asyncio.wait_for(b.store.claimable(), 10)
        assert (await b.claim()).log.key.request_id == "r2"


async def test_who_ends_a_request_hears_of_it(redis_server: RedisServer) -> None:
    """A node that never looked at a request ends it: its own observers are told, as the others' are."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        await a.open()
        told: list[tuple[str, bool]] = []
        b.store.observe(lambda changes: told.extend((c.log.status, c.state) for c in changes))
        await b.store.seal(key(), cancelled())
        assert ("cancelled", True) in told


async def test_who_erases_a_request_hears_of_it(redis_server: RedisServer) -> None:
    """A node that never looked at a request erases it: whoever watches its owner there is told that it is gone."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        await a.ended()
        rows: list[tuple[Summary, bool]] = []
        b.store.watch(ANN)
        b.store.observe_rows(lambda row, removed: rows.append((row, removed)))
        await b.store.erase([key()])
        assert [(row.key, removed) for row, removed in rows] == [(key(), True)]


async def test_what_is_purged_is_not_told_as_removed(redis_server: RedisServer) -> None:
    """A journal goes by its age, and its answer stays in the history: nobody's device is told that it was deleted."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        await a.ended(chat_id="chat")
        removed: list[bool] = []
        done: list[bytes] = []
        b.store.observe_message("done", done.append)
        b.store.watch(ANN)
        b.store.observe_rows(lambda _, gone: removed.append(gone))
        await b.store.head(key())  # asked after the watch: it holds by now
        await a.store.projected([key()])
        assert await a.store.purge(10**15, 10**9) == 1
        await a.store.publish("done", b"")  # behind all that was told before
        await until(lambda: done)
        assert removed == [False]


async def test_an_input_that_was_lost_is_written_again(redis_server: RedisServer) -> None:
    """Redis loses what was put in, and nothing else: the node that runs the request writes it again."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        held = await a.running()
        old = await photograph(redis_server)
        assert await b.store.put_input(key(), steer())
        await until(lambda: held.log.inbox)
        await put_back(redis_server, old)
        async with asyncio.timeout(10):
            while not await redis_server.do("HLEN", f"{prefix_of(key())}:i"):  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.05)
        assert not held.log.lost
        await held.complete()


async def test_what_was_decided_again_is_what_counts(redis_server: RedisServer) -> None:
    """1. Yes is said to a wait. 2. Redis loses it. 3. No is said through another node. The first node claims it: it sees no."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        await a.parked()
        old = await photograph(redis_server)
        await b.store.log(key())
        await b.store.put_input(key(), decision(value="yes"))
        await put_back(redis_server, old)
        await a.store.put_input(key(), decision(value="no"))
        await asyncio.wait_for(b.store.claimable(), 10)
        held = await b.claim()
        assert [item.value for item in held.log.inbox] == ["no"]


async def test_a_look_that_failed_is_made_again(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After messages were lost everything is compared, what has ended too; and if Redis does not answer then, later."""
    monkeypatch.setattr(follow, "GRACE_S", 0.5)
    async with peers(redis_server.url, Clock(), 2, lease_s=0.5) as (a, b):
        held = await a.running()
        old = await photograph(redis_server)
        seen = await b.store.log(key())
        await held.complete()
        await asyncio.wait_for(seen.wait_sealed(), 10)
        deafen(a)
        many = b.store._calls.many

        async def refused(calls: Sequence[Call]) -> list[Any | StoreError]:
            b.store._calls.many = many  # type: ignore[method-assign]
            return [Unavailable("It is away.") for _ in calls]

        await put_back(redis_server, old)
        b.store._calls.many = refused  # type: ignore[method-assign]
        await b.store._follow.look(everything=True)
        await until(lambda: seen.lost)


async def test_a_loss_that_was_mended_is_forgotten(redis_server: RedisServer) -> None:
    """A reader waits for the writer at each loss anew, however long ago the one before was."""
    async with peers(redis_server.url, Clock(), 2) as (a, b):
        held = await a.running()
        old = await photograph(redis_server)
        seen = await b.store.log(key())
        held.say("more")
        await held.writer.flush()
        await until(lambda: seen.tail == held.log.tail)
        place = b.store._shelf.place(seen)
        await put_back(redis_server, old)
        await b.store._follow.sync(seen)
        place.behind_at = 1.0  # it was behind then, if the writer was not faster
        held.say(" and more")
        await held.writer.flush()
        await until(lambda: place.behind_at is None)
        assert not seen.lost
        assert isinstance(seen.events[-1], ev.Delta)


async def test_trouble_ends_with_the_server_that_had_it(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server has refused that is asked for nothing any more is no trouble, as soon as its successor takes it."""
    at: object = None
    monkeypatch.setattr(Calls, "server_of", lambda calls, tag: at)
    async with peers(redis_server.url, Clock(), 1) as (a,):
        for before, then in (("old", "new"), (None, "newer")):
            at = before
            held = await a.running(f"r-{then}")
            through = a.store._link.call_many
            refused = asyncio.Event()

            async def refusing(calls: Sequence[Call], refused: asyncio.Event = refused) -> list[Any]:
                refused.set()
                return [Unavailable("It is away.")] * len(calls)

            a.store._link.call_many = refusing  # type: ignore[method-assign]
            held.say("some")
            await refused.wait()
            await until(lambda: a.store._appends.trouble)
            a.store._link.call_many = through  # type: ignore[method-assign]
            at = then
            await held.writer.flush()
            assert a.store._appends.trouble is None


async def test_slots_move_under_appends(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever they are from one call to the next, and whatever becomes of calls: of one journal there is one at a time, nothing
    is left waiting, and all that was put is there in its order."""
    dice = random.Random(3)
    monkeypatch.setattr(Calls, "server_of", lambda calls, tag: dice.choice([None, 1, 2]))
    under_way: set[Any] = set()
    twice: set[Any] = set()
    async with peers(redis_server.url, Clock(), 1) as (a,):
        through = a.store._link.call_many

        async def lossy(calls: Sequence[Call]) -> list[Any]:
            its = {call.args[1] for call in calls if call.function in {"append", "finish", "restore"}}
            twice.update(its & under_way)
            under_way.update(its)
            try:
                await asyncio.sleep(dice.choice([0, 0.001, 0.003]))
                answers = await through(calls)
                return [Unavailable("lost")] * len(calls) if its and dice.random() < 0.1 else answers
            finally:
                under_way.difference_update(its)

        held = [await a.running(f"r{number}", owner=Owner("acme", f"u{number % 3}")) for number in range(6)]
        a.store._link.call_many = lossy  # type: ignore[method-assign]

        async def write(one: Held) -> None:
            for number in range(20):
                one.say(f"{number} ")
                await asyncio.sleep(dice.choice([0, 0.001, 0.003]))
                if dice.random() < 0.1:
                    a.store._appends.repair(one.log)
            await one.complete()

        async with asyncio.timeout(10):
            await asyncio.gather(*map(write, held))
        assert not twice
        assert {text_of(one.log) for one in held} == {"".join(f"{number} " for number in range(20))}
        assert all(one.log.sealed for one in held)

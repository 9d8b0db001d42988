"""Whose turn it is, below the store: counts that cannot leak, the order against a plain model, what is told of the pace."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from holdfast_server.stores.base import Key, Owner, Priority, Unavailable
from holdfast_server.stores.embedded import EmbeddedStore
from holdfast_server.stores.load import Flow
from holdfast_server.stores.memory import MemoryStore
from holdfast_server.stores.ranked import Ranked
from holdfast_server.stores.ring import Ring
from tests.support.disks import KeptDisk
from tests.support.journals import ANN, BOB, Clock
from tests.support.scribe import Held, Scribe, cancelled, key


def test_ranked_gives_the_lowest_whatever_came_and_went() -> None:
    """After any changes it gives what a sorted list would, and keeps no more than twice what is in it."""
    dice, ranked, model = random.Random(1), Ranked[int](), dict[int, int]()
    for step in range(5_000):
        item = dice.randrange(60)
        if dice.random() < 0.6:
            model[item] = (dice.randrange(1_000) * 100 + item) * 10_000 + step
            ranked.put(item, model[item])
        else:
            model.pop(item, None)
            ranked.drop(item)
        least = min(((rank, name) for name, rank in model.items()), default=None)
        assert ranked.first() == least
        assert len(ranked) == len(model)
        assert len(ranked._heap) <= 2 * len(model) + 33


def test_flow_tells_nothing_that_was_not_seen() -> None:
    """A rate needs some ends and some time with a queue; what ended before there was one does not count."""
    flow = Flow()
    flow.ended(0)
    assert flow.per_s(5_000) is None
    flow.standing(10_000, waits=True)
    for now in (11_000, 12_000):
        flow.ended(now)
    assert flow.per_s(12_000) is None
    flow.ended(13_000)
    assert flow.per_s(13_000) == pytest.approx(1.0)
    assert flow.per_s(16_000) == pytest.approx(0.5)
    assert flow.per_s(100_000) is None
    flow.standing(101_000, waits=False)
    assert flow.per_s(101_000) is None


def test_places_are_kept_of_those_who_wait() -> None:
    """Who waits keeps the place through everything but a turn of theirs; whose last is gone leaves nothing behind."""
    ring = Ring()
    for owner in (ANN, BOB, ANN):
        ring.join(owner)
    assert (ring.place(ANN), ring.place(BOB)) == (1, 2)
    ring.leave(ANN)
    ring.serve(ANN)
    assert (ring.place(ANN), ring.latest) == (3, 3)
    ring.put_back(ANN, 1)
    assert ring.place(ANN) == 1
    for owner in (ANN, BOB):
        ring.leave(owner)
        ring.serve(owner)
    assert not ring._places
    assert not ring._waiting
    ring.join(ANN)
    assert ring.place(ANN) == 4


async def test_counts_are_those_of_the_leases_whatever_fails() -> None:
    """After any mix of claims, ends, parks, hand-overs and refused commits the counts are what the leases say (I10)."""
    disk, clock, dice = KeptDisk(), Clock(), random.Random(7)
    store = EmbeddedStore(disk, now_ms=clock, owner_running_max=3, agents_max={"slow": 2})
    await store.start()
    scribe, held = Scribe(store, clock), list[Held]()
    owners = [ANN, BOB, Owner("", "cat")]
    for number in range(300):
        clock.now += 1
        if dice.random() < 0.3:
            disk.refusals.append(Unavailable("no"))
        try:
            match dice.randrange(5):
                case 0 | 1:
                    agent = dice.choice(["slow", "demo"])
                    await scribe.open(f"r{number}", owner=dice.choice(owners), agent=agent)
                case 2 | 3:
                    claim = await store.claim()
                    if claim is not None:
                        held.append(Held(claim, store.writer(claim)))
                case _ if held:
                    one = held.pop(dice.randrange(len(held)))
                    if dice.random() < 0.5:
                        await store.release(one.claim)
                    else:
                        await store.seal(one.key, cancelled())
        except Unavailable:
            pass
        disk.refusals.clear()
        load, leased = store._journals.load, [log for log in store._journals.by_key.values() if log.lease]
        assert load.owners == Counter(log.key.owner for log in leased)
        assert load.agents == Counter(log.record.agent for log in leased)
        assert max(load.owners.values(), default=0) <= 3
        assert load.agents["slow"] <= 2
    await store.close()


async def test_a_refused_claim_costs_nobody_their_turn() -> None:
    """When the disk refuses a claim, the same request is claimed next, and its owner stands where they stood."""
    disk, clock = KeptDisk(), Clock()
    store = EmbeddedStore(disk, now_ms=clock)
    await store.start()
    scribe = Scribe(store, clock)
    for name, owner in (("a0", ANN), ("b0", BOB), ("a1", ANN), ("b1", BOB)):
        await scribe.open(name, owner=owner)
    ring = store._journals.ready.ring
    for order in (["a0", "b0"], ["a1", "b1"]):
        before = [ring.place(ANN), ring.place(BOB)]
        disk.refusals.append(Unavailable("no"))
        with pytest.raises(Unavailable):
            await store.claim()
        assert [ring.place(ANN), ring.place(BOB)] == before
        assert [(await scribe.claim()).key.request_id for _ in range(2)] == order
    assert not ring._places
    await store.close()


async def test_a_number_is_given_once() -> None:
    """What was opened in a commit that the disk refused leaves nothing behind that is taken for the next journal's."""
    disk, clock = KeptDisk(), Clock()
    store = EmbeddedStore(disk, now_ms=clock)
    await store.start()
    scribe = Scribe(store, clock)
    first = await scribe.open("a", owner=ANN)
    disk.refusals.append(Unavailable("no"))
    with pytest.raises(Unavailable):
        await scribe.open("b", owner=BOB)
    assert [*store._journals.ready._in] == [first.number]
    assert (await scribe.open("c", owner=ANN)).number == first.number + 2
    await store.close()


async def test_estimates_follow_the_pace() -> None:
    """With one slot and one end a second, whoever is at place n begins in n + 1 seconds, until the pace changes."""
    clock = Clock()
    store = MemoryStore(now_ms=clock)
    await store.start()
    scribe = Scribe(store, clock)
    for number in range(30):
        await scribe.open(f"r{number:02}")
    for _ in range(20):
        one = await scribe.claim()
        clock.now += 1_000
        await one.begin()
        await one.complete()
    spots = await store.spots([key("r20"), key("r29")])
    assert [(spot.place, spot.reason) for spot in spots.values()] == [(0, "slots"), (9, "slots")]
    assert [spot.estimate_s for spot in spots.values()] == pytest.approx([1, 10], rel=0.1)
    clock.now += 20_000
    assert (await store.spots([key("r29")]))[key("r29")].estimate_s == pytest.approx(20, rel=0.1)
    await store.close()


async def test_spots_of_many_are_kept_for_a_moment() -> None:
    """With thousands in the queue a play-through serves for some milliseconds per hundred; then it is made anew."""
    clock = Clock()
    store = MemoryStore(now_ms=clock)
    await store.start()
    scribe = Scribe(store, clock)
    await asyncio.gather(*(scribe.open(f"r{number:03}") for number in range(400)))
    assert (await store.spots([key("r399")]))[key("r399")].place == 399
    await scribe.claim()
    assert (await store.spots([key("r399")]))[key("r399")].place == 399
    assert await store.spots([key("r000")]) == {}
    clock.now += 41
    assert (await store.spots([key("r399")]))[key("r399")].place == 398
    await store.close()


async def test_a_chat_in_line_is_counted_before_its_last() -> None:
    """Who follows two that have not begun is behind both, though nobody else waits; another user's turn is before it."""
    clock = Clock()
    store = MemoryStore(now_ms=clock)
    await store.start()
    scribe = Scribe(store, clock)
    await scribe.open("a0")
    await scribe.open("a1", after="a0")
    await scribe.open("a2", after="a1")
    spots = await store.spots([key("a0"), key("a1"), key("a2")])
    assert [(spot.place, spot.reason) for spot in spots.values()] == [
        (0, "slots"),
        (1, "after"),
        (2, "after"),
    ]
    await scribe.open("b0", owner=BOB)
    assert (await store.spots([key("a1")]))[key("a1")].place == 2
    await scribe.claim()
    assert (await store.spots([key("a1")]))[key("a1")].place == 1
    await store.close()


@pytest.mark.parametrize("seed", range(30))
async def test_what_is_told_is_what_happens(seed: int) -> None:
    """If nothing ends, those who were told that they wait for slots are claimed in the order of their places, and no other."""
    dice, clock = random.Random(seed), Clock()
    most = dice.choice([None, 2, 4])
    store = MemoryStore(now_ms=clock, owner_running_max=most, agents_max={"slow": 2, "slower": 1})
    await store.start()
    scribe, keys = Scribe(store, clock), list[Key]()
    owners = [Owner("", f"u{number}") for number in range(dice.randrange(1, 6))]
    priorities: list[Priority] = ["low", "normal", "high"]
    held: list[Held] = []
    for number in range(60):
        clock.now += dice.choice([0, 1, 4_000])
        if dice.random() < 0.7:
            log = await scribe.open(
                f"r{number}", owner=dice.choice(owners), agent=dice.choice(["slow", "slower", "demo", "demo"]),
                priority=dice.choice(priorities), created_at=clock.now,
                after=f"r{number - 1}" if dice.random() < 0.1 else None,
            )  # fmt: skip
            keys.append(log.key)
        elif (claim := await store.claim()) is not None:
            held.append(Held(claim, store.writer(claim)))
        if held and dice.random() < 0.1:
            await store.seal(held.pop(dice.randrange(len(held))).key, cancelled())
    spots = await store.spots(keys)
    told = sorted((spot.place, name) for name, spot in spots.items() if spot.reason == "slots")
    claimed = list[Key]()
    while (claim := await store.claim()) is not None:
        claimed.append(claim.log.key)
    assert told == list(enumerate(claimed))
    waits = {name: spot for name, spot in spots.items() if name not in claimed}
    assert {spot.reason for spot in waits.values()} <= {"user", "agent", "after"}
    assert (await store.spots(keys)).keys() == waits.keys()
    await store.close()

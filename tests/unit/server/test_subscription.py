"""Subscriptions on the simulated loop: where a reader begins, what it is told at the tail, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.codec import JSON
from holdfast_protocol.cursor import Epoch
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.pushes import CaughtUp, Gone, Page, Snapshot
from holdfast_server.connection import DeliveryLimits
from holdfast_server.pages import Shots
from holdfast_server.stores.log import Log
from tests.support.journals import accepted_of, asked
from tests.support.scene import START, Scene, play, whole


@pytest.mark.parametrize("name", ["start", "unknown_epoch", "ahead", "superseded", "good"])
def test_why_a_reader_begins_anew(name: str) -> None:
    """A cursor that is not good gets a snapshot that says why, a good one gets what is missing and no more (I6)."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        await pen.say("one", "two")
        good = str(pen.log.cursor(4))
        if name == "superseded":
            await pen.begin(keep="none")
        await pen.say("three")
        cursor = {
            "start": None,
            "unknown_epoch": "2-1.deadbeef",
            "ahead": f"{pen.log.tail + 1}-{good.partition('-')[2]}",
        }.get(name, good)
        reader = s.connect()
        following = reader.follows("r")
        if cursor == good:
            following.fold.apply_all(pen.log.events[:4])
        where = s.resume(reader, pen, cursor)
        assert where.reset == (None if name == "good" else name)
        await pen.say("four")
        await s.settle()
        first = reader.pushes[0]
        if name == "good":
            assert isinstance(first, Page)
            assert first.start == 4
        else:
            assert isinstance(first, Snapshot)
            assert first.reason == name
            assert [type(push) for push in reader.pushes].count(CaughtUp) == 1
        assert reader.transcript("r") == whole(pen)

    play(scene)


def test_who_falls_behind_a_supersede_begins_anew() -> None:
    """A slow reader is not told what was dropped meanwhile: it gets a snapshot `superseded`."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        reader = s.connect()
        s.follow(reader, pen)
        await s.settle()
        reader.reading = False
        await pen.say(*["x" * 16_000] * 20)
        await pen.begin(keep="none")
        await pen.say("anew")
        await s.settle()
        reader.reading = True
        reader.take()
        await asyncio.sleep(0.1)
        shots = [push for push in reader.pushes if isinstance(push, Snapshot)]
        assert [shot.reason for shot in shots] == ["superseded"]
        assert reader.transcript("r") == whole(pen)
        await pen.end()
        await s.settle()
        assert reader.transcript("r") == whole(pen)

    play(scene)


def test_a_snapshot_in_pages_that_is_overtaken_is_given_up() -> None:
    """When an attempt drops what a snapshot shows, before it was sent whole, another takes its place."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        await pen.say(*["x" * 16_000] * 60)
        reader = s.connect()
        reader.reading = False
        s.resume(reader, pen, None)
        await s.settle()
        await pen.begin(keep="none")
        await pen.say("anew")
        reader.reading = True
        reader.take()
        await asyncio.sleep(0.1)
        shots = [push.reason for push in reader.pushes if isinstance(push, Snapshot)]
        assert shots == ["start", "superseded"]
        assert reader.transcript("r") == whole(pen)

    play(scene)


def test_caught_up_comes_after_the_last_byte() -> None:
    """`caught_up` is told at the tail, once, and again at the end; then the subscription ends by itself."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        reader = s.connect()
        s.follow(reader, pen)
        await s.settle()
        await pen.say("one")
        await pen.end()
        await s.settle()
        told = [push for push in reader.pushes if isinstance(push, CaughtUp)]
        assert [push.sealed for push in told] == [False, True]
        assert reader.pushes[-1] is told[-1]
        assert reader.followings["r"].state == "ended"
        assert not s.delivery.follows(reader, "r")
        assert s.delivery.room(reader) == s.delivery.limits.subscriptions

    play(scene)


def test_a_claim_gives_the_same_tail_another_cursor() -> None:
    """Who comes after a claim is told the cursor of the term that goes on, though nothing was written yet."""
    record = asked("r")
    log = Log(record, accepted_of(record))
    log.extend([accepted_of(record)])
    shots = Shots(DeliveryLimits())
    shots.caught_up(JSON, log)
    log.term = 1
    log.chain.append(Epoch(1, "beef", 1))
    told = JSON.decode_server(shots.caught_up(JSON, log))
    assert isinstance(told, CaughtUp)
    assert told.cursor == "1-1.beef"


def test_an_ended_answer_is_told_whole_once() -> None:
    """Who comes to an answer that has ended gets it, one sealed `caught_up`, and is not kept."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        await pen.say("one")
        await pen.end()
        reader = s.connect()
        s.resume(reader, pen, None)
        await s.settle()
        assert reader.kinds() == ["Snapshot", "Page", "CaughtUp"]
        assert reader.transcript("r") == whole(pen)
        assert not s.delivery.follows(reader, "r")

    play(scene)


def test_many_who_return_share_one_snapshot() -> None:
    """Five hundred readers who come back to one growing answer cost one encoding of it, not five hundred."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        await pen.say(*["x" * 1000] * 300)
        readers = []
        for _ in range(50):
            readers += [s.connect() for _ in range(10)]
            for reader in readers[-10:]:
                s.resume(reader, pen, None)
            await pen.say("more")
        await pen.end()
        await s.settle()
        texts = sum(
            len(p.events[-1].text) > 1000
            for p in s.codec.encoded
            if isinstance(p, Page) and hasattr(p.events[-1], "text")
        )
        assert texts <= 3
        assert all(reader.transcript("r") == whole(pen) for reader in readers)

    play(scene)


def test_two_sockets_on_one_answer_both_live() -> None:
    """One user's two connections follow one answer; the end of one takes nothing from the other (I5)."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        one, two = s.connect(), s.connect()
        for reader in (one, two):
            s.follow(reader, pen)
        await s.settle()
        await pen.say("both")
        await s.settle()
        s.delivery.leave(one)
        await pen.say("one")
        await pen.end()
        await s.settle()
        assert two.transcript("r") == whole(pen)
        assert not pen.log.erased
        assert one.followings["r"].fold.offset < pen.log.tail

    play(scene)


@pytest.mark.parametrize("keep", ["all", "none"])
@pytest.mark.parametrize("seed", range(3))
def test_a_reader_cut_anywhere_loses_nothing(keep: ev.Keep, seed: int) -> None:
    """Cut after every push in turn, a reader that resumes from its cursor holds what the log holds (I6)."""

    async def scene(s: Scene) -> None:
        was_cut = 0
        for cut in range(24):
            pen = await s.desk.run(f"r{cut}")
            reader = s.connect()
            s.follow(reader, pen)
            whole_yet = True
            for number in range(20):
                if number == 10:
                    await pen.begin(keep)
                await pen.say(f"é{number} ")
                if whole_yet and len(reader.pushes) >= cut:
                    whole_yet = False
                    was_cut += 1
                    s.delivery.leave(reader)
                    following = reader.followings[pen.request_id]
                    following.dropped()
                    reader = s.connect()
                    reader.followings[pen.request_id] = following
                    s.resume(reader, pen, following.cursor)
            await pen.end()
            await s.settle()
            assert reader.transcript(pen.request_id) == whole(pen)
        assert was_cut > 15

    play(scene, seed)


def test_an_erased_request_is_gone() -> None:
    """When a request is erased, who had not been told its end is told `gone`, and nothing more."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        reader = s.connect()
        s.follow(reader, pen)
        await s.settle()
        reader.reading = False
        await pen.say(*["x" * 16_000] * 20)
        await s.desk.journal.erase([pen.log.key])
        await s.settle()
        reader.reading = True
        reader.take()
        await asyncio.sleep(0.1)
        assert isinstance(reader.pushes[-1], Gone)
        assert not s.delivery.follows(reader, "r")

    play(scene)


def test_subscriptions_are_bounded() -> None:
    """A connection follows so many requests and no more; following one again takes no second place."""

    async def scene(s: Scene) -> None:
        pens = [await s.desk.run(f"r{n}") for n in range(3)]
        reader = s.connect()
        for pen in pens[:2]:
            s.follow(reader, pen)
        s.follow(reader, pens[0])
        with pytest.raises(ProtocolError) as caught:
            s.delivery.subscribe(reader, pens[2].log, START)
        assert caught.value.code == "too_many_subscriptions"
        assert s.delivery.unsubscribe(reader, "r0")
        s.follow(reader, pens[2])

    play(scene, limits=DeliveryLimits(subscriptions=2))


def test_following_again_begins_anew() -> None:
    """A second subscribe to the same request replaces the first: one stream, from where it asked."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        await pen.say("one")
        reader = s.connect()
        s.follow(reader, pen)
        await s.settle()
        s.resume(reader, pen, None)
        await pen.say("two")
        await pen.end()
        await s.settle()
        assert reader.kinds()[:5] == ["Page", "CaughtUp", "Snapshot", "Page", "CaughtUp"]
        assert sum(len(push.events) for push in reader.pushes[5:] if isinstance(push, Page)) <= 3
        assert reader.transcript("r") == whole(pen)

    play(scene)

"""Delivery over the memory store on the simulated loop: sharing, bounds, lost wake-ups, snapshots, ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.codec import MSGPACK
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.fold import Fold
from holdfast_protocol.pushes import CaughtUp, Gone, Notice, Page, Snapshot
from holdfast_server.connection import DeliveryLimits
from holdfast_server.delivery import Delivery
from holdfast_server.journal import Place, place
from holdfast_server.pages import FRAME_BYTES_MAX
from tests.support.pens import Desk, Pen
from tests.support.readers import CountingCodec, FakeConnection
from tests.support.simloop import SimLoop

START = Place(0, None)


class Scene:
    """A desk, its delivery, and connections."""

    def __init__(self, sim: SimLoop, limits: DeliveryLimits | None = None) -> None:
        self.sim = sim
        self.desk = Desk(sim.now_ms)
        self.delivery = Delivery(self.desk, limits=limits)
        self.codec = CountingCodec()

    def connect(self, codec: CountingCodec | None = None) -> FakeConnection:
        connection = FakeConnection(codec or self.codec)
        self.delivery.join(connection)
        return connection

    def follow(self, connection: FakeConnection, pen: Pen, where: Place = START) -> None:
        connection.follows(pen.request_id)
        self.delivery.subscribe(connection, pen.log, where)

    def resume(self, connection: FakeConnection, pen: Pen, cursor: str | None) -> Place:
        where = place(pen.log, cursor)
        self.follow(connection, pen, where)
        return where

    async def settle(self) -> None:
        """Everything that is due has happened, without time passing."""
        await self.sim.idle()


Play = Callable[[Scene], Coroutine[Any, Any, None]]


def play(scene: Play, seed: int = 0, limits: DeliveryLimits | None = None) -> None:
    """Run a scene on its own loop."""
    sim = SimLoop(seed)

    async def main() -> None:
        made = Scene(sim, limits)
        await scene(made)
        made.delivery.close()
        await made.desk.store.close()

    sim.run(main())


def whole(pen: Pen) -> Any:
    """What the log folds to."""
    return Fold().apply_all(pen.log.events).transcript()


def test_what_grew_is_encoded_once_for_all_readers() -> None:
    """A hundred live readers of one answer cost one encoding per page and codec, and one write each."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        binary = CountingCodec(MSGPACK)
        readers = [s.connect() for _ in range(50)] + [s.connect(binary) for _ in range(50)]
        for reader in readers:
            s.follow(reader, pen)
        await s.settle()
        pages, writes = s.codec.count(Page), [reader.writes for reader in readers]
        await pen.say("one")
        await s.settle()
        assert s.codec.count(Page) - pages == 1
        assert binary.count(Page) - pages == 1
        assert [reader.writes for reader in readers] == [count + 1 for count in writes]
        assert len({reader.frames[-1] for reader in readers[:50]}) == 1
        await pen.end()
        await s.settle()
        assert all(reader.transcript("r") == whole(pen) for reader in readers)

    play(scene)


def test_a_turn_writes_each_connection_once() -> None:
    """What several answers have for one connection in one turn of the loop goes out in one write."""

    async def scene(s: Scene) -> None:
        pens = [await s.desk.run(f"r{n}") for n in range(5)]
        reader = s.connect()
        for pen in pens:
            s.follow(reader, pen)
        await s.settle()
        assert reader.writes == 1
        await asyncio.gather(*(pen.say("x") for pen in pens))
        await s.settle()
        assert reader.writes == 2

    play(scene)


def test_nothing_is_pushed_before_the_reply() -> None:
    """A subscription sends nothing in the turn that made it, so that the reply is written first."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        reader = s.connect()
        s.follow(reader, pen)
        assert reader.writes == 0
        await s.settle()
        assert reader.kinds() == ["Page", "CaughtUp"]

    play(scene)


def test_a_slow_reader_is_skipped_and_merged_later() -> None:
    """Who does not read is held at the byte bound, delays nobody, and gets what is missing merged into few pages."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        slow, quick = s.connect(), s.connect()
        for reader in (slow, quick):
            s.follow(reader, pen)
        await s.settle()
        slow.reading = False
        for number in range(400):
            await pen.say(f"{number:05d}" * 100)
            await s.settle()
            assert quick.followings["r"].fold.offset == pen.log.tail
        assert 64 * 1024 <= slow.buffered <= 64 * 1024 + FRAME_BYTES_MAX
        before = len(slow.pushes) + len(slow.held)
        slow.reading = True
        slow.take()
        await pen.end()
        await asyncio.sleep(0.5)
        assert slow.transcript("r") == whole(pen)
        assert len(slow.pushes) - before <= 5
        assert slow.peak <= 64 * 1024 + FRAME_BYTES_MAX
        assert isinstance(slow.pushes[-1], CaughtUp)
        assert slow.pushes[-1].sealed

    play(scene)


def test_the_byte_bound_holds_at_every_instant() -> None:
    """However much is behind, and whatever is followed, a connection is never given more than the bound and a page."""

    async def scene(s: Scene) -> None:
        pens = [await s.desk.run(f"r{n}") for n in range(8)]
        for pen in pens:
            await pen.say(*["é漢" * 3_000] * 40)
        reader = s.connect()
        reader.reading = False
        for pen in pens:
            s.follow(reader, pen, place(pen.log, None))
        for _ in range(200):
            await asyncio.sleep(0.02)
            reader.take(1)
        reader.reading = True
        reader.take()
        await asyncio.sleep(0.5)
        assert reader.peak <= 64 * 1024 + FRAME_BYTES_MAX
        for pen in pens:
            assert reader.transcript(pen.request_id) == whole(pen)

    play(scene)


def test_readers_who_are_behind_take_turns() -> None:
    """Two connections and all they follow come forward together: nobody waits for another's whole answer."""

    async def scene(s: Scene) -> None:
        pens = [await s.desk.run(f"r{n}") for n in range(3)]
        for pen in pens:
            await pen.say(*["x" * 16_000] * 60)
        readers = [s.connect() for _ in range(2)]
        for reader in readers:
            for pen in pens:
                s.follow(reader, pen)
        await s.settle()
        for reader in readers:
            turns = [push.request_id for push in reader.pushes if isinstance(push, Page)]
            assert len(turns) > 6
            assert set(turns[:3]) == {"r0", "r1", "r2"}

    play(scene, limits=DeliveryLimits(turn_bytes=128 * 1024))


def test_a_lost_wake_up_is_healed() -> None:
    """When the store's word of a commit is lost, the reader has it all the same within a sweep (I7)."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        reader = s.connect()
        s.follow(reader, pen)
        await s.settle()
        s.desk.lossy = True
        await pen.say("lost")
        await s.settle()
        assert reader.followings["r"].fold.offset < pen.log.tail
        await asyncio.sleep(1.1)
        assert reader.followings["r"].fold.offset == pen.log.tail
        s.desk.lossy = False
        await pen.say("heard")
        await s.settle()
        assert reader.followings["r"].fold.offset == pen.log.tail
        s.desk.lossy = True
        await pen.end()
        await asyncio.sleep(1.1)
        assert reader.transcript("r") == whole(pen)

    play(scene)


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


def test_who_takes_nothing_is_closed() -> None:
    """After 30 s without any progress a connection is closed with 4410, then ended; a merely slow one is not."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        stuck, slow = s.connect(), s.connect()
        for reader in (stuck, slow):
            s.follow(reader, pen)
        await s.settle()
        stuck.reading = slow.reading = False
        await pen.say(*["x" * 16_000] * 40)
        for _ in range(40):
            await asyncio.sleep(1)
            await pen.say("y" * 16_000)
            slow.take(1)
            assert slow.buffered
        assert stuck.closed is not None
        assert stuck.closed[0] == 4410
        assert stuck.aborted
        assert slow.closed is None
        assert not s.delivery.follows(stuck, "r")

    play(scene, limits=DeliveryLimits(page_bytes=20_000))


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


def test_notices_are_rare_and_may_be_lost() -> None:
    """Of one kind a connection gets one notice a second; who is full gets none."""

    async def scene(s: Scene) -> None:
        reader, full = s.connect(), s.connect()
        full.reading = False
        full.held = [b"x" * 70_000]
        for _ in range(5):
            s.delivery.notify(Notice(kind="draining"))
        s.delivery.notify(Notice(kind="storage"))
        await asyncio.sleep(1.1)
        s.delivery.notify(Notice(kind="draining"))
        told = [push.kind for push in reader.pushes if isinstance(push, Notice)]
        assert told == ["draining", "storage", "draining"]
        assert full.writes == 0

    play(scene)


def test_one_log_that_cannot_be_read_stops_nobody_else() -> None:
    """A fault in one answer closes its reader's connection, and the others' answers go on."""

    async def scene(s: Scene) -> None:
        bad, good = await s.desk.run("bad"), await s.desk.run("good")
        one, two = s.connect(), s.connect()
        s.follow(one, bad)
        s.follow(two, good)
        await s.settle()
        bad.log.chain.clear()
        await bad.say("x")
        await good.say("x")
        await good.end()
        await s.settle()
        assert one.closed is not None
        assert one.closed[0] == 1011
        assert two.transcript("good") == whole(good)

    play(scene)

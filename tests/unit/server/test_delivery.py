"""The pump over the memory store on the simulated loop: sharing, turns, bounds, lost wake-ups, faults."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from holdfast_protocol.codec import MSGPACK
from holdfast_protocol.pushes import CaughtUp, Notice, Page
from holdfast_server.connection import DeliveryLimits
from holdfast_server.journal import place
from holdfast_server.pages import FRAME_BYTES_MAX
from tests.support.readers import CountingCodec, FakeConnection
from tests.support.scene import Scene, play, whole


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


def test_a_full_connection_is_looked_at_soon_and_then_less_often() -> None:
    """Who drains at once gets the next page within milliseconds; looking at who does not costs ever less, down to a floor."""

    class Looked(FakeConnection):
        looks = 0

        @property
        def buffered(self) -> int:
            self.looks += 1
            return super().buffered

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        for _ in range(80):
            await pen.say("x" * 10_000)
        quick = s.connect()
        stuck = Looked(s.codec)
        s.delivery.join(stuck)
        quick.reading = stuck.reading = False
        s.follow(stuck, pen)
        await asyncio.sleep(0.5)
        s.follow(quick, pen)
        for _ in range(5):
            await asyncio.sleep(0.003)
            quick.take()
        assert quick.transcript("r") == whole(pen)
        await asyncio.sleep(0.1)
        before = stuck.looks
        await asyncio.sleep(1.0)
        assert stuck.looks - before < 300

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


@pytest.mark.parametrize("where", ["write", "buffered", "close"])
def test_a_connection_that_raises_stops_nobody_else(where: str) -> None:
    """A transport that breaks its promise not to raise ends, at the next sweep at the latest; the others' answers go on,
    also those whose wake-ups are lost."""

    class Broken(FakeConnection):
        broken = False

        def write(self, frames: Sequence[bytes]) -> None:
            if self.broken and where in ("write", "close"):
                raise RuntimeError("a bug")
            super().write(frames)

        @property
        def buffered(self) -> int:
            if self.broken and where == "buffered":
                raise RuntimeError("a bug")
            return super().buffered

        def close(self, code: int, reason: str) -> None:
            if where == "close":
                raise RuntimeError("a bug")
            super().close(code, reason)

    async def scene(s: Scene) -> None:
        bad, good = await s.desk.run("bad"), await s.desk.run("good")
        one, two = Broken(s.codec), s.connect()
        s.delivery.join(one)
        s.follow(one, bad)
        s.follow(two, good)
        await s.settle()
        one.broken = s.desk.lossy = True
        for pen in (bad, good):
            await pen.say("x")
            await pen.end()
        await asyncio.sleep(3)
        assert one.aborted
        assert (one.closed is None) == (where == "close")
        assert two.transcript("good") == whole(good)

    play(scene)


def test_a_sweep_that_fails_is_not_the_last() -> None:
    """Whatever goes wrong in one sweep, the next one heals a lost wake-up (I7)."""

    async def scene(s: Scene) -> None:
        pen = await s.desk.run("r")
        reader = s.connect()
        s.follow(reader, pen)
        await s.settle()
        s.desk.lossy = True
        await pen.say("lost")
        delivery: Any = s.delivery
        delivery._ready[None], turn = None, delivery._turn

        def fails() -> None:
            delivery._ready.pop(None)
            delivery._turn = turn
            raise RuntimeError("a bug")

        delivery._turn = fails
        await asyncio.sleep(2.1)
        assert reader.followings["r"].fold.offset == pen.log.tail

    play(scene)

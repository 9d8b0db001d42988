"""What a slow reader costs is bounded, however much it asks for."""

from __future__ import annotations

from holdfast_server.connection import DeliveryLimits
from holdfast_server.journal import Place
from holdfast_server.subscription import Subscription
from tests.support.scene import Scene, play, whole

ANSWERS = 12
LIMITS = DeliveryLimits(buffer_bytes=8 * 1024, page_bytes=16 * 1024, snapshot_bytes=64 * 1024)


def test_a_slow_reader_of_many_answers_holds_one_snapshot() -> None:
    """A connection that asks for many answers from their snapshots, and takes them a page at a time, is served one after
    another: one encoded snapshot is kept for it, not one for each answer; it has them all in the end."""

    async def scene(s: Scene) -> None:
        pens = [await s.desk.run(f"r{n}") for n in range(ANSWERS)]
        for pen in pens:
            await pen.say(*("x" * 15_000 for _ in range(6)))
            await pen.end()
        reader = s.connect()
        reader.reading = False
        for pen in pens:
            s.follow(reader, pen, Place(0, "start"))
        lane = s.delivery._lanes[reader]
        most = 0
        while lane.sources:
            shots = [each for each in lane.sources.values() if isinstance(each, Subscription) and each._shot]
            most = max(most, len(shots))
            reader.take()
            s.delivery.drained(reader)
            await s.settle()
        reader.take()
        assert most <= 1, f"{most} snapshots are kept for one connection"
        assert all(reader.transcript(pen.request_id) == whole(pen) for pen in pens)

    play(scene, limits=LIMITS)

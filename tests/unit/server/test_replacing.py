"""Readers of a log whose past the store has lost are put onto what the store has now, and are never told that it is gone."""

from __future__ import annotations

import asyncio

from holdfast_protocol.pushes import Snapshot
from holdfast_server import replacing
from holdfast_server.peers import Peers
from holdfast_server.replacing import Replacing
from tests.support.pens import Desk
from tests.support.scene import Scene, play, whole
from tests.support.shared_double import Common


class Other:
    """What the store has now: another journal of the same key, once it is there."""

    def __init__(self, s: Scene) -> None:
        self.desk = Desk(s.sim.now_ms)
        self.desk._nonces = 1_000_000
        self.shared = Common().node("a")
        self.replacing = Replacing(self.desk.journal, s.delivery, Peers(self.shared))
        self.desk.journal.observe(s.delivery._changed)

    async def close(self) -> None:
        await self.replacing.close()
        await self.desk.store.close()


def test_readers_go_on_with_what_is_there_now() -> None:
    """A snapshot that says why; then what comes; nothing of the lost log after it."""

    async def scene(s: Scene) -> None:
        other = Other(s)
        await other.desk.store.start()
        pen = await s.desk.run("r")
        await pen.say("what was ", "lost")
        ahead, early = s.connect(), s.connect()
        s.follow(ahead, pen)
        await s.settle()
        s.follow(early, pen)
        new = await other.desk.run("r")
        await new.say("another")
        other.shared.lose(pen.log)
        await s.settle()
        await new.say(" answer")
        await new.end()
        await s.settle()
        for reader in (ahead, early):
            assert "Gone" not in reader.kinds()
            assert reader.transcript("r") == whole(new)
        assert [push.reason for push in ahead.pushes if isinstance(push, Snapshot)] == ["unknown_epoch"]
        await other.close()

    play(scene)


def test_until_it_is_opened_again_they_wait() -> None:
    """The journal is not there at all for a while: who reads is told nothing, and then all."""

    async def scene(s: Scene) -> None:
        other = Other(s)
        await other.desk.store.start()
        pen = await s.desk.run("r")
        reader = s.connect()
        s.follow(reader, pen)
        await s.settle()
        frames = len(reader.frames)
        other.shared.lose(pen.log)
        await asyncio.sleep(5.0)
        assert len(reader.frames) == frames
        new = await other.desk.run("r")
        await new.say("Again.")
        await new.end()
        await asyncio.sleep(1.0)
        assert reader.transcript("r") == whole(new)
        await other.close()

    play(scene)


def test_what_never_comes_back_was_deleted() -> None:
    """After a time in which everything that was accepted would have been opened again."""

    async def scene(s: Scene) -> None:
        other = Other(s)
        await other.desk.store.start()
        pen = await s.desk.run("r")
        reader = s.connect()
        s.follow(reader, pen)
        await s.settle()
        other.shared.lose(pen.log)
        await asyncio.sleep(replacing.GONE_S + 2.0)
        assert reader.kinds()[-1] == "Gone"
        await other.close()

    play(scene)

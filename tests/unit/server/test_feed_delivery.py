"""Delivery of feeds: what changes arrives, a bad cursor gets a snapshot, and who fell behind the ring gets one too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from holdfast_protocol.pushes import Feed, FeedChat, FeedEvent
from holdfast_protocol.replies import ChatRow
from holdfast_server.delivery import Delivery
from holdfast_server.feed_delivery import FEED, FeedDelivery
from holdfast_server.journal import Place
from holdfast_server.stores.base import Owner
from tests.support.journals import ANN, BOB
from tests.support.pens import Desk
from tests.support.readers import FakeConnection
from tests.support.simloop import SimLoop


def row(version: int) -> FeedChat:
    return FeedChat(chat=ChatRow(chat_id="c", version=version, title=f"t{version}"))


class Ring:
    """A feed of which only the last few entries are kept."""

    def __init__(self, kept: int = 5) -> None:
        self.kept = kept
        self.entries: dict[Owner, list[FeedEvent]] = {}
        self.observer: Callable[[Owner], None] = lambda _: None
        self.down = 0
        self.held: set[Owner] = set()

    def add(self, owner: Owner, count: int = 1) -> None:
        entries = self.entries.setdefault(owner, [])
        for _ in range(count):
            entries.append(row(len(entries) + 1))
        self.observer(owner)

    def observe(self, observer: Callable[[Owner], None]) -> None:
        self.observer = observer

    def hold(self, owner: Owner) -> None:
        assert owner not in self.held
        self.held.add(owner)

    def let_go(self, owner: Owner) -> None:
        self.held.remove(owner)

    def tail(self, owner: Owner) -> int:
        return len(self.entries.get(owner, []))

    def cursor_text(self, owner: Owner, offset: int) -> str:
        return f"{offset}-0.{owner.user.encode().hex():0>8}"

    def place(self, owner: Owner, cursor: str | None) -> Place:
        return Place(self.tail(owner), "start") if cursor is None else Place(int(cursor.split("-")[0]), None)

    def read(self, owner: Owner, offset: int, limit: int) -> tuple[list[FeedEvent], int] | None:
        tail = self.tail(owner)
        if not max(0, tail - self.kept) <= offset <= tail:
            return None
        events = self.entries.get(owner, [])[offset : offset + limit]
        return events, offset + len(events)

    async def snapshot(self, owner: Owner) -> tuple[list[FeedEvent], int]:
        offset = self.tail(owner)
        await asyncio.sleep(0.01)
        if self.down:
            self.down -= 1
            raise OSError("no history")
        return [row(offset)], offset


class Scene:
    def __init__(self, sim: SimLoop) -> None:
        self.ring = Ring()
        self.delivery = Delivery(Desk(sim.now_ms))
        self.feeds = FeedDelivery(self.ring, self.delivery)

    def connect(self) -> FakeConnection:
        connection = FakeConnection()
        self.delivery.join(connection)
        return connection

    def watch(self, connection: FakeConnection, cursor: str | None, owner: Owner = ANN) -> None:
        self.feeds.watch(connection, owner, self.ring.place(owner, cursor))


def feeds(connection: FakeConnection) -> list[tuple[str | None, list[int], str]]:
    return [
        (push.reset, [event.chat.version for event in push.events if isinstance(event, FeedChat)], push.next)
        for push in connection.pushes
        if isinstance(push, Feed)
    ]


def test_a_watcher_gets_a_snapshot_and_then_what_changes() -> None:
    """Without a cursor the present state comes first, marked as such; then every change of that owner, and no other's."""

    async def main() -> None:
        s = Scene(sim)
        s.ring.add(ANN, 3)
        one = s.connect()
        s.watch(one, None)
        s.ring.add(ANN)
        await asyncio.sleep(0.1)
        s.ring.add(BOB)
        s.ring.add(ANN)
        await asyncio.sleep(0.1)
        text = s.ring.cursor_text
        assert feeds(one) == [
            ("start", [4], text(ANN, 4)),
            (None, [5], text(ANN, 5)),
        ] or feeds(one) == [
            ("start", [3], text(ANN, 3)),
            (None, [4], text(ANN, 4)),
            (None, [5], text(ANN, 5)),
        ]
        s.feeds.unwatch(one)
        s.ring.add(ANN)
        await asyncio.sleep(1.5)
        assert feeds(one)[-1][1] == [5]
        s.delivery.close()
        await s.feeds.close()

    sim = SimLoop(1)
    sim.run(main())


def test_a_good_cursor_gets_what_is_missing() -> None:
    """From a cursor that is kept only what came after it is sent, in one push."""

    async def main() -> None:
        s = Scene(sim)
        s.ring.add(ANN, 4)
        one = s.connect()
        s.watch(one, s.ring.cursor_text(ANN, 1))
        await asyncio.sleep(0.1)
        assert feeds(one) == [(None, [2, 3, 4], s.ring.cursor_text(ANN, 4))]
        s.delivery.close()

    sim = SimLoop(2)
    sim.run(main())


def test_who_falls_behind_what_is_kept_begins_anew() -> None:
    """A slow watcher whose place is no longer kept gets a snapshot that says so, though the history fails at first."""

    async def main() -> None:
        s = Scene(sim)
        one = s.connect()
        s.watch(one, s.ring.cursor_text(ANN, 0))
        one.held, one.reading = [b"x" * 70_000], False
        s.ring.add(ANN, 20)
        s.ring.down = 2
        await asyncio.sleep(0.1)
        one.held, one.reading = [], True
        await asyncio.sleep(3)
        assert feeds(one) == [("purged", [20], s.ring.cursor_text(ANN, 20))]
        s.ring.add(ANN)
        await asyncio.sleep(0.1)
        assert feeds(one)[-1][:2] == (None, [21])
        assert s.delivery.follows(one, FEED)
        s.delivery.leave(one)
        s.ring.add(ANN)
        s.delivery.close()
        await s.feeds.close()

    sim = SimLoop(3)
    sim.run(main())


def test_a_feed_is_held_while_anybody_watches() -> None:
    """From the first watcher until the last has gone, however often one watches anew."""

    async def main() -> None:
        s = Scene(sim)
        one, two = s.connect(), s.connect()
        for connection in (one, two, one):
            s.watch(connection, None)
            assert s.ring.held == {ANN}
        s.feeds.unwatch(one)
        assert s.ring.held == {ANN}
        s.delivery.leave(two)
        assert s.ring.held == set()

        s.delivery.close()
        await s.feeds.close()

    sim = SimLoop(0)
    sim.run(main())

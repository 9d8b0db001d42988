"""Who followed what: spans begin and end with subscriptions, are bounded, and cost nobody anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from itertools import count

import pytest

from holdfast_protocol.limits import CLIENT_CHARS_MAX, READERS_MAX
from holdfast_protocol.replies import ReaderRow
from holdfast_server import readers as module
from holdfast_server.delivery import Delivery
from holdfast_server.journal import Place
from holdfast_server.readers import Readers, merged
from holdfast_server.stores.base import Damaged, Key, Unavailable, UnknownRequest
from tests.support.readers import FakeConnection
from tests.support.scene import Scene, play, whole


class KeptRows:
    """Rows in memory; `trouble` refuses, `gate` holds up."""

    def __init__(self) -> None:
        self.rows: dict[Key, list[ReaderRow]] = {}
        self.trouble = False
        self.calls = 0
        self.gate: Callable[[], Awaitable[None]] | None = None

    async def add(self, spans: Mapping[Key, Sequence[ReaderRow]], gone: Collection[Key]) -> None:
        self.calls += 1
        if self.gate is not None:
            await self.gate()
        if self.trouble:
            raise Unavailable("the history does not answer")
        for key, rows in spans.items():
            self.rows[key] = merged([*self.rows.get(key, ()), *rows])
        for key in gone:
            self.rows.pop(key, None)

    async def of(self, key: Key) -> list[ReaderRow]:
        if self.trouble:
            raise Unavailable("the history does not answer")
        return self.rows.get(key, [])

    async def page(self, after: Key | None, limit: int) -> list[Key]:
        return [key for key in sorted(self.rows) if after is None or key > after][:limit]


class Hall:
    """A scene whose delivery is witnessed."""

    def __init__(self, scene: Scene) -> None:
        names = count()
        self.scene = scene
        self.rows = KeptRows()
        self.readers = Readers(self.rows, now_ms=scene.sim.now_ms, name=lambda: f"c{next(names)}")
        scene.delivery = Delivery(scene.desk, witness=self.readers)

    def connect(self, client: str = "") -> FakeConnection:
        connection = self.scene.connect()
        self.readers.introduce(connection, "websocket", client)
        return connection


def staged(scene: Callable[[Scene, Hall], Awaitable[None]]) -> None:
    async def run(s: Scene) -> None:
        await scene(s, Hall(s))

    play(run)


def test_a_span_is_from_where_to_where_one_followed() -> None:
    """It begins at the subscription's cursor and ends where the reader was when it left, by whichever way."""

    async def scene(s: Scene, hall: Hall) -> None:
        pen = await s.desk.run("r")
        leaving, cut, late = hall.connect("page"), hall.connect("cli"), hall.connect()
        for reader in (leaving, cut):
            s.follow(reader, pen)
        await s.settle()
        await pen.say("one")
        await s.settle()
        s.delivery.unsubscribe(leaving, "r")
        await pen.say("two")
        await s.settle()
        s.delivery.leave(cut)
        s.delivery.subscribe(late, pen.log, Place(4, None))
        await s.settle()
        open_, *_ = await hall.readers.of(pen.log.key)
        assert (open_.connection, open_.start, open_.end, open_.until) == ("c2", 4, 5, None)
        await pen.end()
        await s.settle()
        rows = {row.connection: row for row in await hall.readers.of(pen.log.key)}
        assert {name: (row.client, row.start, row.end) for name, row in rows.items()} == {
            "c0": ("page", 0, 4), "c1": ("cli", 0, 5), "c2": ("", 4, pen.log.tail),
        }  # fmt: skip
        assert all(row.door == "websocket" and row.until is not None for row in rows.values())

    staged(scene)


def test_a_second_subscription_ends_the_first_ones_span() -> None:
    """Subscribing again on one connection is another span, not a longer one."""

    async def scene(s: Scene, hall: Hall) -> None:
        pen = await s.desk.run("r")
        reader = hall.connect()
        s.follow(reader, pen)
        await s.settle()
        s.delivery.subscribe(reader, pen.log, Place(pen.log.tail, None))
        await s.settle()
        rows = await hall.readers.of(pen.log.key)
        assert sorted((row.start, row.end, row.until is None) for row in rows) == [
            (0, 3, False),
            (3, 3, True),
        ]

    staged(scene)


def test_the_history_gets_what_has_ended_and_keeps_it() -> None:
    """A flush writes it once; what is asked for then comes from there; the latest come first."""

    async def scene(s: Scene, hall: Hall) -> None:
        pen = await s.desk.run("r")
        for number in range(3):
            reader = hall.connect(f"n{number}")
            s.follow(reader, pen)
            await s.settle()
            await asyncio.sleep(1)
            s.delivery.leave(reader)
        await hall.readers.flush()
        await hall.readers.flush()
        assert hall.rows.calls == 1
        again = Readers(hall.rows, now_ms=s.sim.now_ms)
        assert [row.client for row in await again.of(pen.log.key)] == ["n2", "n1", "n0"]
        assert await again.of(pen.log.key) == await hall.readers.of(pen.log.key)

    staged(scene)


def test_a_history_in_trouble_costs_nobody_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subscriptions go on, what is in memory is told, beyond the bound the oldest is dropped, the rest comes later."""
    monkeypatch.setattr(module, "WAITING_SPANS_MAX", 4)

    async def scene(s: Scene, hall: Hall) -> None:
        hall.rows.trouble = True
        pens = [await s.desk.run(f"r{number}") for number in range(6)]
        reader = hall.connect()
        for pen in pens:
            s.follow(reader, pen)
        await s.settle()
        s.delivery.leave(reader)
        await hall.readers.flush()
        assert [len(await hall.readers.of(pen.log.key)) for pen in pens] == [0, 0, 1, 1, 1, 1]
        assert hall.readers.dropped == 2
        hall.rows.trouble = False
        await hall.readers.flush()
        assert len(hall.rows.rows) == 4

    staged(scene)


def test_what_ends_during_a_flush_is_not_lost() -> None:
    """A span that ends while an earlier one of the same request is being written goes with the next batch."""

    async def scene(s: Scene, hall: Hall) -> None:
        pen = await s.desk.run("r")
        first, second = hall.connect("first"), hall.connect("second")
        for reader in (first, second):
            s.follow(reader, pen)
        await s.settle()
        s.delivery.leave(first)

        async def meanwhile() -> None:
            hall.rows.gate = None
            s.delivery.leave(second)

        hall.rows.gate = meanwhile
        await hall.readers.flush()
        assert {row.client for row in hall.rows.rows[pen.log.key]} == {"first", "second"}

    staged(scene)


def test_the_latest_hundred_are_kept() -> None:
    """Of one request, open or ended, in memory or written, no more than READERS_MAX spans are kept."""

    async def scene(s: Scene, hall: Hall) -> None:
        pen = await s.desk.run("r")
        for _ in range(2):
            readers = [hall.connect() for _ in range(READERS_MAX + 5)]
            for reader in readers:
                s.follow(reader, pen)
            await s.settle()
            assert len(await hall.readers.of(pen.log.key)) == READERS_MAX
            await asyncio.sleep(1)
            for reader in readers:
                s.delivery.leave(reader)
            assert len(await hall.readers.of(pen.log.key)) == READERS_MAX
            await hall.readers.flush()
        kept = hall.rows.rows[pen.log.key]
        assert len(kept) == READERS_MAX
        assert kept[-1].connection == f"c{2 * (READERS_MAX + 5) - 1}"

    staged(scene)


def test_nothing_of_an_erased_request_is_kept() -> None:
    """Neither what waits, nor what is open, nor what a batch in flight brings to the history after the erasure."""

    async def scene(s: Scene, hall: Hall) -> None:
        pen = await s.desk.run("r")
        key = pen.log.key
        gone, open_ = hall.connect(), hall.connect()
        s.follow(gone, pen)
        s.follow(open_, pen)
        await s.settle()
        s.delivery.leave(gone)

        async def meanwhile() -> None:
            hall.rows.gate = None
            await s.desk.store.erase([key])
            hall.readers.forget([key])

        hall.rows.gate = meanwhile
        await hall.readers.flush()
        await s.settle()
        assert open_.kinds()[-1] == "Gone"
        assert (hall.rows.rows, await hall.readers.of(key)) == ({}, [])

    staged(scene)


def test_an_erasure_ends_spans_without_a_trace() -> None:
    """Who follows a request to its erasure is told so, and is not noted afterwards."""

    async def scene(s: Scene, hall: Hall) -> None:
        pen = await s.desk.run("r")
        reader = hall.connect()
        s.follow(reader, pen)
        await s.settle()
        hall.readers.forget([pen.log.key])
        await hall.readers.flush()
        await s.desk.store.erase([pen.log.key])
        await s.settle()
        assert reader.kinds()[-1] == "Gone"
        await hall.readers.flush()
        assert (hall.rows.rows, await hall.readers.of(pen.log.key)) == ({}, [])

    staged(scene)


def test_a_sweep_forgets_what_belongs_to_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Purged requests lose their spans, some with every sweep; damaged and living ones keep theirs."""
    monkeypatch.setattr(module, "SWEEP_REQUESTS", 2)

    async def scene(s: Scene, hall: Hall) -> None:
        keys = [Key("", "ann", f"r{number}") for number in range(5)]
        row = ReaderRow(connection="c", door="websocket", since=1, until=2, start=0, end=3)
        hall.rows.rows = {key: [row] for key in keys}

        async def head(key: Key) -> None:
            if key in (keys[0], keys[3], keys[4]):
                raise UnknownRequest(key.request_id)
            if key == keys[1]:
                raise Damaged("damaged")

        for _ in range(3):
            await hall.readers.sweep(head)
        assert list(hall.rows.rows) == [keys[1], keys[2]]

    staged(scene)


def test_sweeps_keep_up_with_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is followed between two sweeps, they look at twice as much: what was purged does not pile up."""
    monkeypatch.setattr(module, "SWEEP_REQUESTS", 2)

    async def scene(s: Scene, hall: Hall) -> None:
        async def purged(key: Key) -> None:
            raise UnknownRequest(key.request_id)

        for number in range(9):
            pen = await s.desk.run(f"r{number}")
            s.follow(hall.connect(), pen)
            await pen.end()
        await s.settle()
        await hall.readers.flush()
        assert len(hall.rows.rows) == 9
        await hall.readers.sweep(purged)
        assert hall.rows.rows == {}

    staged(scene)


def test_what_a_client_calls_itself_is_only_text() -> None:
    """It is cut to its bound and has nothing that a terminal or a line obeys; saying hello again renames it."""

    async def scene(s: Scene, hall: Hall) -> None:
        pen = await s.desk.run("r")
        reader = hall.connect("evil\x1b[2J\n\x00client " + "x" * 500)
        s.follow(reader, pen)
        (row,) = await hall.readers.of(pen.log.key)
        assert row.client.startswith("evil [2J client xxx")
        assert len(row.client) <= CLIENT_CHARS_MAX
        hall.readers.introduce(reader, "websocket", "better")
        hall.readers.introduce(reader, "websocket")
        assert (await hall.readers.of(pen.log.key))[0].client == "better"

    staged(scene)


def test_who_was_not_introduced_leaves_nothing() -> None:
    """A connection that no door named is followed by nobody's name."""

    async def scene(s: Scene, hall: Hall) -> None:
        pen = await s.desk.run("r")
        reader = s.connect()
        s.follow(reader, pen)
        await s.settle()
        s.delivery.leave(reader)
        assert await hall.readers.of(pen.log.key) == []

    staged(scene)


async def test_without_a_history_little_is_remembered() -> None:
    """Flush, sweep and close are harmless then."""
    readers = Readers(now_ms=lambda: 1)
    await readers.flush()
    await readers.sweep(lambda _: asyncio.sleep(0))
    readers.forget([Key("", "ann", "r")])
    await readers.close()
    assert await readers.of(Key("", "ann", "r")) == []


def test_a_bug_in_it_costs_nobody_an_answer() -> None:
    """Whatever fails where readers are noted, the subscription is brought to its end."""

    async def scene(s: Scene, hall: Hall) -> None:
        def fails() -> int:
            raise RuntimeError("a bug")

        pen = await s.desk.run("r")
        reader = hall.connect()
        hall.readers._now_ms = fails
        s.follow(reader, pen)
        await pen.end()
        await s.settle()
        assert reader.transcript("r") == whole(pen)

    staged(scene)

"""Notices: told when they change, at most one of a kind per connection and look."""

import asyncio
from typing import Any

import structlog

from holdfast_server import notices as module
from holdfast_server.notices import Notices
from holdfast_server.stores.base import Spot, Unavailable, key_of
from tests.support.journals import ANN


class Audience:
    """Notes what is told to whom."""

    def __init__(self):
        self.followed = []
        self.told = []
        self.notices = []

    def following(self):
        return self.followed

    def notify(self, notice, connections=None):
        self.told.append((notice.kind, notice.request_id, notice.place, connections))
        self.notices.append(notice)


class Peer:
    """A connection."""


class Queue(dict[Any, Spot]):
    """What waits, by request, and what was asked for."""

    def __init__(self, *logs: "Log"):
        super().__init__({log.key: Spot(place, "slots") for place, log in enumerate(logs)})
        self.asked: list[int] = []

    async def __call__(self, keys):
        self.asked.append(len(keys))
        return {key: self[key] for key in keys if key in self}


class Log:
    """A journal, as far as notices look at it."""

    def __init__(self, name: str) -> None:
        self.key = key_of(ANN, name)
        self.status = "queued"


async def test_a_place_is_told_when_it_changes_and_only_then():
    """A reader of a queued request hears its place, again when it moves, and nothing while it stands."""
    a, b, peer, audience = Log("a"), Log("b"), Peer(), Audience()
    queue = Queue(a, b)
    notices = Notices(audience, queue, lambda: None)
    audience.followed = [(b, [peer])]
    await notices.look()
    await notices.look()
    assert audience.told == [("place", "b", 1, [peer])]
    queue[b.key] = Spot(0, "slots")
    await notices.look()
    assert audience.told[1:] == [("place", "b", 0, [peer])]
    b.status = "running"
    await notices.look()
    assert len(audience.told) == 2


async def test_a_reason_and_an_estimate_are_told():
    """What it waits for and for how long is told too, and again when people would read something else."""
    b, peer, audience = Log("b"), Peer(), Audience()
    queue = Queue(b)
    notices = Notices(audience, queue, lambda: None)
    audience.followed = [(b, [peer])]
    told = []
    for spot in (Spot(0, "user"), Spot(0, "slots", 11.2), Spot(0, "slots", 19.9), Spot(0, "slots", 21.0)):
        queue[b.key] = spot
        await notices.look()
        told.append([(one.reason, one.estimate_ms, one.message) for one in audience.notices])
        audience.notices.clear()
    assert told == [
        [("user", None, "Waits for one of your own answers to end.")],
        [("slots", 11_200, "It is next; about 20 s.")],
        [],
        [("slots", 21_000, "It is next; about 30 s.")],
    ]


async def test_one_look_tells_a_connection_one_place_and_the_next_the_other():
    """No connection hears more than one in a second, and none of its requests is forgotten, however often others move."""
    a, b, c, peer, audience = Log("a"), Log("b"), Log("c"), Peer(), Audience()
    queue = Queue(a, b, c)
    notices = Notices(audience, queue, lambda: None)
    audience.followed = [(a, [peer]), (b, [peer]), (c, [peer])]
    for look in range(6):
        for log in (a, b, c):
            queue[log.key] = Spot(look, "slots")
        await notices.look()
    assert [told[1] for told in audience.told] == ["a", "b", "c", "a", "b", "c"]


async def test_a_look_asks_for_no_more_than_its_bound(monkeypatch):
    """Of more that are followed each look asks for some, and the next for the others."""
    monkeypatch.setattr(module, "LOOKED_AT_MAX", 2)
    logs, audience = [Log(name) for name in "abc"], Audience()
    queue = Queue(*logs)
    notices = Notices(audience, queue, lambda: None)
    audience.followed = [(log, [Peer()]) for log in logs]
    await notices.look()
    assert [told[1] for told in audience.told] == ["a", "b"]
    await notices.look()
    assert [told[1] for told in audience.told] == ["a", "b", "c"]
    assert queue.asked == [2, 2]


async def test_a_store_in_trouble_stops_nothing():
    """Without its answer no place is told, and it is asked again at the next look."""
    a, peer, audience = Log("a"), Peer(), Audience()
    queue, errors = Queue(a), [Unavailable("away")]

    async def spots(keys):
        if errors:
            raise errors.pop()
        return await queue(keys)

    notices = Notices(audience, spots, lambda: None)
    audience.followed = [(a, [peer])]
    await notices.look()
    assert audience.told == []
    await notices.look()
    assert audience.told == [("place", "a", 0, [peer])]


async def test_trouble_is_told_when_it_comes_and_when_it_goes():
    """All connections hear it once."""
    audience, trouble = Audience(), list[str | None](["the disk is full"])
    notices = Notices(audience, Queue(), lambda: trouble[0])
    await notices.look()
    await notices.look()
    trouble[0] = None
    await notices.look()
    assert audience.told == [("storage", None, None, None)] * 2


async def test_what_is_no_longer_queued_or_followed_is_forgotten():
    """A connection that lives for months costs what it follows now, not all that it ever did."""
    a, b, audience = Log("a"), Log("b"), Audience()
    peer: Any = Peer()
    notices = Notices(audience, Queue(a, b), lambda: None)
    audience.followed = [(a, [peer]), (b, [peer])]
    await notices.look()
    await notices.look()
    assert [log.key for log in notices._told[peer]] == [a.key, b.key]
    a.status = "running"
    await notices.look()
    assert [log.key for log in notices._told[peer]] == [b.key]
    audience.followed = []
    await notices.look()
    assert (notices._told, notices._looked) == ({}, {})


async def test_a_look_that_fails_is_not_the_last(monkeypatch):
    """An exception that nobody foresaw is logged, and the next look tells what there is."""
    monkeypatch.setattr(module, "EVERY_S", 0)
    audience, looks, looked = Audience(), iter([RuntimeError("a bug"), None]), asyncio.Event()

    def trouble():
        error = next(looks, None)
        if error is not None:
            raise error
        looked.set()
        return "the disk is full"

    task = asyncio.ensure_future(Notices(audience, Queue(), trouble).run())
    with structlog.testing.capture_logs() as logs:
        async with asyncio.timeout(5):
            await looked.wait()
    assert len(audience.told) == 1
    assert [entry["event"] for entry in logs] == ["notices failed; the next look goes on"]
    task.cancel()

"""Notices: told when they change, at most one of a kind per connection and look."""

import asyncio
from types import SimpleNamespace
from typing import Any

import structlog

from holdfast_server import notices as module
from holdfast_server.notices import Notices


class Audience:
    """Notes what is told to whom."""

    def __init__(self):
        self.followed = []
        self.told = []

    def following(self):
        return self.followed

    def notify(self, notice, connections=None):
        self.told.append((notice.kind, notice.request_id, notice.place, connections))


class Peer:
    """A connection."""


class Queue(list[Any]):
    """What waits."""

    def __call__(self):
        return list(self)


class Log:
    """A journal, as far as notices look at it."""

    def __init__(self, name: str) -> None:
        self.key = SimpleNamespace(request_id=name)
        self.status = "queued"


def test_a_place_is_told_when_it_changes_and_only_then():
    """A reader of a queued request hears its place, again when it moves, and nothing while it stands."""
    a, b, peer, audience = Log("a"), Log("b"), Peer(), Audience()
    queue = Queue([a, b])
    notices = Notices(audience, queue, lambda: None)
    audience.followed = [(b, [peer])]
    notices.look()
    notices.look()
    assert audience.told == [("place", "b", 1, [peer])]
    queue.remove(a)
    notices.look()
    assert audience.told[1:] == [("place", "b", 0, [peer])]
    b.status = "running"
    notices.look()
    assert len(audience.told) == 2


def test_one_look_tells_a_connection_one_place_and_the_next_the_other():
    """No connection hears more than one in a second, and none of its requests is forgotten."""
    a, b, peer, audience = Log("a"), Log("b"), Peer(), Audience()
    notices = Notices(audience, Queue([a, b]), lambda: None)
    audience.followed = [(a, [peer]), (b, [peer])]
    notices.look()
    assert [told[1] for told in audience.told] == ["a"]
    notices.look()
    assert [told[1] for told in audience.told] == ["a", "b"]


def test_trouble_is_told_when_it_comes_and_when_it_goes():
    """All connections hear it once."""
    audience, trouble = Audience(), list[str | None](["the disk is full"])
    notices = Notices(audience, Queue(), lambda: trouble[0])
    notices.look()
    notices.look()
    trouble[0] = None
    notices.look()
    assert audience.told == [("storage", None, None, None)] * 2


def test_what_is_no_longer_queued_or_followed_is_forgotten():
    """A connection that lives for months costs what it follows now, not all that it ever did."""
    a, b, audience = Log("a"), Log("b"), Audience()
    peer: Any = Peer()
    queue = Queue([a, b])
    notices = Notices(audience, queue, lambda: None)
    audience.followed = [(a, [peer]), (b, [peer])]
    notices.look()
    notices.look()
    assert notices._told == {peer: {"a": 0, "b": 1}}
    queue.remove(a)
    a.status = "running"
    notices.look()
    assert notices._told == {peer: {"b": 0}}
    audience.followed = []
    notices.look()
    assert notices._told == {}


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

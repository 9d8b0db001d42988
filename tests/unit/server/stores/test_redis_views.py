"""Which server of a Redis Cluster is believed when they do not say the same."""

from __future__ import annotations

from typing import Any, cast

import pytest

from holdfast_server.stores.base import Unavailable
from holdfast_server.stores.redis.address import Place
from holdfast_server.stores.redis.views import SLOTS, View, believed, settled, view_of
from holdfast_server.stores.redis.wire import Wire

A, B, C, R = [("10.0.0.1", port) for port in (1, 2, 3, 4)]
OLD = ((0, 5000, A), (5001, 10000, B), (10001, SLOTS - 1, C))
NEW = ((0, 5000, R), (5001, 10000, B), (10001, SLOTS - 1, C))


def view(place: Place, table: Any = OLD, *, ok: bool = True, epoch: int = 3, served: int = SLOTS) -> View:
    """What this server says."""
    return View(place, table, tuple(primary for _, _, primary in table), ok, epoch, served)


def test_who_finds_the_cluster_well_is_believed() -> None:
    """A server that was cut off sees that it is, though a vote that it began gave it the highest number."""
    views = [view(A, ok=False, epoch=9, served=5001), view(B, NEW, epoch=4), view(C, NEW, epoch=4)]
    assert believed(views, {A, B, C}) is views[1]
    assert settled(views[1], views)
    assert views[0].worse_than(views[1])


def test_the_newest_decision_is_believed() -> None:
    """Of those that are well, who heard of the last failover; one alone is not enough to ask nobody else."""
    views = [view(B), view(C, NEW, epoch=4)]
    assert believed(views, {A, B, C}) is views[1]
    assert not settled(views[1], views)


def test_most_are_believed_where_nothing_else_tells() -> None:
    """And if they are as many, rather those that name the servers which are connected."""
    alone = ((0, 5000, A),)
    views = [view(A, alone, served=5001), view(B, NEW), view(C, NEW)]
    assert believed(views, {A}).table == NEW
    assert not settled(views[0], views[:1])
    renamed = tuple((first, last, ("redis-1", port)) for first, last, (_, port) in OLD)
    assert believed([view(A, renamed), view(B)], {A, B, C}).table == OLD


def test_who_sees_the_fewest_was_cut_off() -> None:
    """Where nobody serves because a primary is away, that one is told from the others by what it sees."""
    views = [view(A, ok=False, served=5001), view(B, ok=False, served=11383), view(C, ok=False, served=11383)]
    assert believed(views, set()) is views[1]
    assert [one.worse_than(views[1]) for one in views] == [True, False, False]


class Said:
    """A connection to a server that says this of its slots."""

    place = A

    def __init__(self, slots: object) -> None:
        self.slots = slots

    async def ask(self, *command: str) -> Any:
        return (
            self.slots
            if command == ("CLUSTER", "SLOTS")
            else b"cluster_state:ok\r\ncluster_slots_ok:16384\r\n"
        )


@pytest.mark.parametrize(
    "slots",
    [[[0, 5]], [[0]], [[0, 5, [b"h", None]]], [[0, 5, [b"\xff", 1]]], [[0, SLOTS, [b"h", 1]]], 7, [b"OK"]],
)
async def test_what_is_no_table_is_not_taken_for_one(slots: object) -> None:
    """A server that answers like none of a cluster is one that cannot be asked: others are, and the look-up goes on."""
    with pytest.raises(Unavailable):
        await view_of(cast("Wire", Said(slots)))
    assert (await view_of(cast("Wire", Said([[0, 5, [b"", 1]]])))).table == ((0, 5, A),)

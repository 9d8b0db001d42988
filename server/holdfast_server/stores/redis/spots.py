"""Where queued requests stand: how many will be claimed before each as things are, why it waits, and how long that may take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from holdfast_server.stores.base import Reason, Spot

PLACE_MAX: Final = 1000
"""A place is not told more exactly beyond this: as many owners, and requests before one's own, are looked at."""

RANK: Final = 1 << 41
"""What one more running request of an owner adds to their rank; as in queue.lua."""


class Waiting(NamedTuple):
    """An owner who waits in a shard: their rank, and how many wait in each class; of those, how many of agents that are not
    at their limit."""

    rank: int
    normal: int
    normal_open: int
    low: int
    low_open: int


class Conditions(NamedTuple):
    """What else decides: agents at their limit, the most that may run of one owner (0: any number), whether any node runs agents,
    slots that are free, claims in a second from one shard (None: nobody can tell), and the time (ms)."""

    shut: frozenset[str]
    most: int
    workers: bool
    free: int
    rate: float | None
    now: int


def waiting_of(flat: Sequence[Any]) -> dict[bytes, Waiting]:
    """The owners of an answer of `spots` in nodes.lua."""
    return {
        owner: Waiting(int(float(row[0])), *row[1:]) for owner, row in zip(flat[::2], flat[1::2], strict=True)
    }


def before(
    owners: Mapping[bytes, Waiting], owner: bytes, own: int, *, low: bool, shut: bool, most: int
) -> int:
    """How many requests of this shard are claimed before one with `own` of its owner's before it, in its class: everybody is
    brought up to as many running as its owner will have by then. Whoever comes up to a number last has the later turn
    there; among those who began with the same it stays the order that they began with."""
    here = _after_normal(owners.get(owner, Waiting(0, 0, 0, 0, 0)), shut=shut, most=most, low=low)
    level, place = here.running + own, own + (here.claimed if low else 0)
    for other, row in owners.items():
        if other == owner:
            continue
        its = _after_normal(row, shut=shut, most=most, low=low)
        ahead = level - its.running + (its.turn < here.turn)
        place += its.claimed + max(0, min(its.waiting, ahead))
        if place >= PLACE_MAX:
            break
    return min(place, PLACE_MAX)


class _Owner(NamedTuple):
    """An owner when the turns of a class begin: how many were claimed of the classes before, how many run then, how many
    wait and may run, and what decides between two who have come up to the same number (lower first)."""

    claimed: int
    running: int
    waiting: int
    turn: tuple[int, bool, int]


def _after_normal(row: Waiting, *, shut: bool, most: int, low: bool) -> _Owner:
    running, since = divmod(row.rank, RANK)
    normal, lows = (row.normal, row.low) if shut else (row.normal_open, row.low_open)
    room = max(0, most - running) if most else PLACE_MAX
    normal = min(normal, room)
    if not low:
        return _Owner(0, running, normal, (-running, False, since))
    running += normal
    return _Owner(normal, running, min(lows, room - normal), (-running, normal > 0, since))


def spot(owners: Mapping[bytes, Waiting], answer: Sequence[Any], conditions: Conditions) -> Spot:
    """The place of one that waits: `answer` as of nodes.lua."""
    filed, owner, agent, own, not_before, running = answer
    kind = filed[:1]
    if kind == b"t":
        wait_s = max(0.0, (int(not_before) - conditions.now) / 1000)
        return Spot(0, "not_before", wait_s if conditions.workers else None)
    if kind == b"a":
        return Spot(0, "after")
    if kind in (b"s", b"p"):
        return Spot(min(own, PLACE_MAX), "alone" if conditions.workers else "no_worker")
    shut = agent.decode() in conditions.shut
    most = conditions.most
    place = before(owners, owner, own, low=filed[:2] == b"-1", shut=shut, most=most)
    reason: Reason = "slots"
    if not conditions.workers:
        reason = "no_worker"
    elif most and running + own >= most:
        reason = "user"
    elif shut:
        reason = "agent"
    estimate_s: float | None = None
    if reason == "slots":
        if conditions.free > place:
            estimate_s = 0.0
        elif conditions.rate:
            estimate_s = (place + 1 - conditions.free) / conditions.rate
    return Spot(place, reason, estimate_s)

"""What servers of a Redis Cluster say of it, each for itself, and which of them is believed.

A server that was cut off from the others goes on telling the table of before, and whoever reaches it hears that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from holdfast_server.stores.base import StoreError, Unavailable

from .address import Place, shown
from .wire import Wire

SLOTS = 16384
SERVERS_MAX = 1000  # a cluster has no more


class View(NamedTuple):
    """What one server said."""

    place: Place  # who said it
    table: tuple[tuple[int, int, Place], ...]  # (first, last, primary), by slots
    known: tuple[Place, ...]  # all that it named, replicas too
    ok: bool  # it sees most primaries, and serves
    epoch: int  # the newest decision of which it heard
    served: int  # slots whose primaries it sees

    @property
    def primaries(self) -> frozenset[Place]:
        """Those of its table."""
        return frozenset(primary for _, _, primary in self.table)

    @property
    def whole(self) -> bool:
        """Whether every slot has a primary."""
        return sum(last - first + 1 for first, last, _ in self.table) == SLOTS

    def worse_than(self, other: View) -> bool:
        """Whether this server is the one that was cut off, if one of the two was."""
        return not self.ok and (other.ok or 2 * self.served < other.served)


async def view_of(wire: Wire) -> View:
    """Ask this server. Raises: StoreError, also if what it says is no table."""
    said = await wire.ask("CLUSTER", "SLOTS")
    fields = await _state(wire)
    try:
        return _read(wire.place, said, fields)
    except (ValueError, TypeError, IndexError) as error:
        raise Unavailable(
            f"Redis at {shown(wire.place)} does not tell its slots as a cluster does."
        ) from error


def _read(asked: Place, said: Any, fields: dict[bytes, bytes]) -> View:
    """Raises: ValueError, TypeError, IndexError."""
    table: list[tuple[int, int, Place]] = []
    known: list[Place] = []
    for first, last, *nodes in said:
        places = [_place(node, asked) for node in nodes][:SERVERS_MAX]
        known += places
        if not 0 <= int(first) <= int(last) < SLOTS:
            raise ValueError(f"no slots: {first} to {last}")
        table.append((int(first), int(last), places[0]))
    return View(
        asked,
        tuple(sorted(table)),
        tuple(dict.fromkeys(known))[:SERVERS_MAX],
        fields.get(b"cluster_state", b"ok") == b"ok",
        int(fields.get(b"cluster_current_epoch", 0)),
        int(fields.get(b"cluster_slots_ok", 0)),
    )


async def _state(wire: Wire) -> dict[bytes, bytes]:
    """How it finds the cluster; nothing where the user may not ask."""
    try:
        said = await wire.ask("CLUSTER", "INFO")
    except StoreError as error:
        if wire.lost.is_set():
            raise Unavailable(wire.reason) from error
        return {}
    if not isinstance(said, bytes):
        return {}
    lines = (line.partition(b":") for line in said.splitlines())
    return {name: value.strip() for name, _, value in lines}


def _place(node: list[Any], asked: Place) -> Place:
    """Where a node is. It may not know its own name: then it is where it was asked."""
    host = bytes(node[0] or b"").decode()
    return (asked[0] if host in {"", "?"} else host, int(node[1]))


def believed(views: Sequence[View], now: Collection[Place]) -> View:
    """The one to go by. Who was cut off finds that the cluster fails, or has missed the newest decisions; else what most say,
    and rather the primaries of `now` than others by other names. There must be one."""
    votes = Counter(view.table for view in views)
    return max(
        views,
        key=lambda view: (view.ok, view.epoch, votes[view.table], view.served, view.primaries == set(now)),
    )


def settled(view: View, views: Sequence[View]) -> bool:
    """Whether nobody else needs to be asked: so many as most of its primaries are say the same, and it is well."""
    agreeing = sum(other.ok and other.table == view.table for other in views)
    return view.ok and view.whole and 2 * agreeing > len(view.primaries)

"""The index of what may be claimed: hints in the order of turns, checked when they are taken.

A number in it says "look at this journal", not "this one is claimable": whoever takes it checks the conditions against
what holds now, and files it where the next hint will come from (a time, or the seal of the request before it). So an
index that says too much costs a look, and nothing has to be taken back when a commit fails.

Whose turn it is: the owner of whom the fewest run, then the one who was served, or began to wait, longest ago (see
ring.py); of theirs, by priority, then the oldest. What is `low` waits until nobody has anything else, or until it has waited LOW_WAITS_MS: then it counts as
normal. Owners and agents that run as many as they may have no turn until one of theirs ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Final, NamedTuple

from .base import Key, Owner, Priority
from .load import Flow, Load
from .log import Log
from .ranked import Ranked
from .ring import Ring

LOW_WAITS_MS: Final = 60_000
"""How long `low` steps back behind everybody's requests, so that a busy server gets to it as well."""

RANKS: Final[dict[Priority, int]] = {"high": 0, "normal": 1, "low": 2}


class Turn(NamedTuple):
    """What is known of a journal here: its place in its owner's row, whose it is, and its agent if that has a limit. From
    `ripe_at` (ms) on, what is low counts as normal."""

    number: int
    owner: Owner
    agent: str | None
    rank: int
    ripe_at: int


class Ready:
    """Turns of journals to look at; each is in it at most once."""

    def __init__(self, load: Load) -> None:
        self.flow = Flow()
        self.version = 0  # rises with every change of who waits for what
        self.ring = Ring()
        self._load = load
        agents = [None, *load.agents_max]
        self._rows = {(agent, low): _Rows(load, self.ring) for agent in agents for low in (False, True)}
        self._in: dict[int, tuple[Turn, bool]] = {}
        self._timed: list[tuple[int, int, Turn]] = []
        self._timed_in: set[tuple[int, int]] = set()
        self._followers: dict[Key, dict[int, Turn]] = {}

    def turn(self, log: Log) -> Turn:
        """The turn of a journal."""
        record = log.record
        rank = RANKS[record.priority]
        ripe_at = max(record.created_at, record.not_before) + LOW_WAITS_MS if rank == RANKS["low"] else 0
        return Turn(log.number, log.key.owner, self._load.limited(record.agent), rank, ripe_at)

    def hint(self, log: Log) -> None:
        """Look at it when its turn comes."""
        self.put(self.turn(log))

    def put(self, turn: Turn) -> None:
        """The same, for whoever has its turn already."""
        if turn.number in self._in:
            return
        low = turn.rank == RANKS["low"]
        self.ring.join(turn.owner)
        self._file(turn, low)
        if low:
            self.at(turn.ripe_at, turn)

    def _file(self, turn: Turn, low: bool) -> None:
        self._in[turn.number] = (turn, low)
        rank = turn.rank if low else min(turn.rank, RANKS["normal"])
        self._rows[turn.agent, low].put(turn, rank)
        self.version += 1

    def drop(self, number: int) -> Turn | None:
        """Do not look at it; a later hint is taken anew."""
        found = self._in.pop(number, None)
        if found is None:
            return None
        turn, low = found
        self._rows[turn.agent, low].drop(turn)
        self.ring.leave(turn.owner)
        self.version += 1
        return turn

    def take(self, number: int) -> tuple[Turn, int]:
        """Do not look at it, which is in: its turn, and where its owner stood, for `put_back`."""
        turn = self._in[number][0]
        place = self.ring.place(turn.owner)
        self.drop(number)
        return turn, place

    def put_back(self, turn: Turn, place: int) -> None:
        """Look at it again, with its owner at this place: the stage that dropped it, and served them, came to nothing."""
        self.put(turn)
        self.ring.put_back(turn.owner, place)
        self._turn_of(turn.owner)

    def at(self, when: int, turn: Turn) -> None:
        """Look at it at this time (ms)."""
        if (when, turn.number) not in self._timed_in:
            self._timed_in.add((when, turn.number))
            heappush(self._timed, (when, turn.number, turn))

    def follow(self, key: Key, turn: Turn) -> None:
        """Look at it when `key` is sealed."""
        self._followers.setdefault(key, {})[turn.number] = turn
        self.version += 1

    def sealed(self, key: Key) -> None:
        """`key` was sealed, or is gone."""
        self.version += 1
        for turn in self._followers.pop(key, {}).values():
            self.put(turn)

    def leased(self, owner: Owner, agent: str, more: int) -> None:
        """`more` leases than before are held of this owner and agent."""
        self._load.change(owner, agent, more)
        self._turn_of(owner)

    def serve(self, owner: Owner) -> None:
        """The owner has had a turn."""
        self.ring.serve(owner)
        self._turn_of(owner)

    def _turn_of(self, owner: Owner) -> None:
        self.version += 1
        for rows in self._rows.values():
            rows.turn_of(owner)

    def due(self, now: int) -> None:
        """Time has come to `now`."""
        while self._timed and self._timed[0][0] <= now:
            when, number, turn = heappop(self._timed)
            self._timed_in.discard((when, number))
            if now >= turn.ripe_at and self._in.get(number, (turn, False))[1]:
                self._rows[turn.agent, True].drop(turn)  # its owner stays where they are
                self._file(turn, False)
            else:
                self.put(turn)

    def settled(self, now: int, ends: int) -> None:
        """A commit in which so many leases ended is done."""
        self.flow.standing(now, waits=bool(self._in))
        for _ in range(ends):
            self.flow.ended(now)

    @property
    def next_at(self) -> int | None:
        """When the next timed hint is due."""
        return self._timed[0][0] if self._timed else None

    def first(self) -> int | None:
        """The journal whose turn it is; it stays. None: there is none, or all who wait are at their limits."""
        for low in (False, True):
            rows = [
                row
                for (agent, is_low), row in self._rows.items()
                if is_low is low and self._load.agent_has_slot(agent)
            ]
            owners = [found for row in rows if (found := row.owners.first()) is not None]
            if owners:
                owner = min(owners)[1]
                return min(first for row in rows if (first := row.first(owner)) is not None)[1]
        return None

    def waiting(self) -> Iterator[tuple[bool, Turn]]:
        """Everything that is in it, and whether it steps back as low; in no order."""
        for turn, low in self._in.values():
            yield low, turn


class _Rows:
    """What waits for one agent (or for any without a limit), a row per owner, and the order of the owners."""

    def __init__(self, load: Load, ring: Ring) -> None:
        self._load = load
        self._ring = ring
        self._of: dict[Owner, Ranked[int]] = {}
        self.owners: Ranked[Owner] = Ranked()  # those who may run one more

    def put(self, turn: Turn, rank: int) -> None:
        """It waits here."""
        self._of.setdefault(turn.owner, Ranked()).put(turn.number, (rank, turn.number))
        self.turn_of(turn.owner)

    def drop(self, turn: Turn) -> None:
        """It no longer waits here."""
        row = self._of[turn.owner]
        row.drop(turn.number)
        if not len(row):
            del self._of[turn.owner]
            self.owners.drop(turn.owner)
        else:
            self.turn_of(turn.owner)

    def first(self, owner: Owner) -> tuple[tuple[int, int], int] | None:
        """The owner's next, with its rank."""
        row = self._of.get(owner)
        return row.first() if row is not None else None

    def turn_of(self, owner: Owner) -> None:
        """Put the owner where they belong now."""
        row = self._of.get(owner)
        if row is None:
            return
        if self._load.has_slot(owner):
            self.owners.put(owner, (self._load.owners[owner], self._ring.place(owner)))
        else:
            self.owners.drop(owner)

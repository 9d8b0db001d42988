"""Where each queued request stands: the claims to come, played through as if nothing that runs would end.

The order is that of ready.py. Playing through goes in rounds: in round n everybody of whom n run claims one, in the order of
their places in the ring, and is then among those of the round after. Who is at a limit takes no turn from others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from .base import Key, Owner, Reason, Spot
from .journals import Journals, look
from .log import Log
from .ready import RANKS, Turn

KEPT_MS_PER_100: Final = 10
"""How long one play-through serves, per hundred requests in it: some thirty times what it takes, so that it never takes more
than a few hundredths of the time. Below a hundred each is new."""

CHAIN_MAX: Final = 100
"""Requests of one chat, each after the other, that are counted before one of them."""


class _Placed(NamedTuple):
    place: int
    reason: Reason


class Queue:
    """Tells places."""

    def __init__(self, journals: Journals, now_ms: Callable[[], int]) -> None:
        self._journals = journals
        self._now_ms = now_ms
        self._play = _Play(journals)
        self._seen = (-1, 0)  # the index's version, and when

    def spots(self, keys: Sequence[Key]) -> dict[Key, Spot]:
        """As Store.spots."""
        now = self._now_ms()
        found: dict[Key, Spot] = {}
        for key in keys:
            log = self._journals.by_key.get(key)
            if log is None or log.sealed or log.lease or log.parked:
                continue
            placed = self._placed(log, now)
            if placed is not None:
                found[key] = Spot(*placed, self._estimate_s(log, placed, now))
        return found

    def _fresh(self, now: int) -> _Play:
        """The play-through that holds now, or held a moment ago."""
        ready = self._journals.ready
        ready.due(now)
        version, at = self._seen
        if version != ready.version and not at <= now < at + len(self._play.placed) // 100 * KEPT_MS_PER_100:
            self._play = _Play(self._journals)
            self._play.through(self._claimable(now))
            self._seen = (ready.version, now)
        return self._play

    def _claimable(self, now: int) -> Iterable[tuple[bool, Turn]]:
        """What the index says and holds."""
        journals = self._journals
        for low, turn in journals.ready.waiting():
            log = journals.by_number.get(turn.number)
            if log is not None and look(log, now).claimable and self._before(log) is None:
                yield low, turn

    def _before(self, log: Log) -> Log | None:
        """The request that must end before this one, if it has not."""
        after = log.record.after
        before = None if after is None else self._journals.by_key.get(log.key._replace(request_id=after))
        return before if before is not None and not before.sealed else None

    def _placed(self, log: Log, now: int) -> _Placed | None:
        play = self._fresh(now)
        before, chain = self._before(log), 0
        reason: Reason = "after"
        if log.record.not_before > now:
            reason = "not_before"
        elif before is None:
            return play.placed.get(log.number)
        while before is not None and chain < CHAIN_MAX:
            chain += before.number not in play.placed and not before.lease and not before.parked
            before = self._before(before)
        return _Placed(play.joining(self._journals.ready.turn(log), now) + chain, reason)

    def _estimate_s(self, log: Log, placed: _Placed, now: int) -> float | None:
        if placed.reason not in ("slots", "not_before"):
            return None
        per_s = self._journals.ready.flow.per_s(now)
        turn_s = None if per_s is None else (placed.place + 1) / per_s
        if placed.reason == "not_before":
            return max((log.record.not_before - now) / 1000, turn_s or 0.0)
        return turn_s


class _Play:
    """One play-through."""

    def __init__(self, journals: Journals) -> None:
        self._load = journals.load
        self._ring = journals.ready.ring
        self.placed: dict[int, _Placed] = {}
        self._running: dict[Owner, int] = {}
        self._served: dict[Owner, int] = {}  # places of those who claim here
        self._agents: Counter[str] = Counter()
        self._held_up: Counter[str] = Counter()
        self._rows: dict[Owner, list[tuple[int, int, int]]] = {}  # rank, number, place
        # Of what is not low, and of what is: each round, with how many were claimed before whoever begins to wait for it
        # now; and the same of each owner's turn after their last.
        self._rounds: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        self._beyond: tuple[dict[Owner, int], dict[Owner, int]] = ({}, {})
        self._claimed = 0
        self._latest = self._ring.latest

    def through(self, waiting: Iterable[tuple[bool, Turn]]) -> None:
        """Play the claims of these."""
        rows: tuple[dict[Owner, list[Turn]], dict[Owner, list[Turn]]] = ({}, {})
        for low, turn in waiting:
            counted = turn if low else turn._replace(rank=min(turn.rank, RANKS["normal"]))
            rows[low].setdefault(turn.owner, []).append(counted)
        for level, some in enumerate(rows):
            self._play(some, self._rounds[level], self._beyond[level])

    def joining(self, turn: Turn, now: int) -> int:
        """How many would be claimed before it, if what it waits for had come about."""
        low = turn.rank == RANKS["low"] and now < turn.ripe_at
        rank = turn.rank if low else min(turn.rank, RANKS["normal"])
        for other, number, place in self._rows.get(turn.owner, ()):
            if (other, number) > (rank, turn.number):
                return place
        beyond = self._beyond[low].get(turn.owner)
        if beyond is not None:
            return beyond
        running = self._running.get(turn.owner, self._load.owners[turn.owner])
        return next((before for number, before in self._rounds[low] if number >= running), self._claimed)

    def _play(
        self, rows: dict[Owner, list[Turn]], rounds: list[tuple[int, int]], beyond: dict[Owner, int]
    ) -> None:
        load = self._load
        entering: dict[int, list[Owner]] = {}
        for owner, row in rows.items():
            row.sort(key=lambda turn: (-turn.rank, -turn.number))  # the first is last, to be taken off
            self._running.setdefault(owner, load.owners[owner])
            entering.setdefault(self._running[owner], []).append(owner)
        ring: list[Owner] = []
        number = min(entering, default=0)
        while entering or ring:
            if not ring:
                number = min(entering)
            new = entering.pop(number, [])
            new.sort(key=self._place_of)
            going: list[Owner] = []
            for owners in (new, ring):
                for owner in owners:
                    if self._take(owner, rows[owner]):
                        going.append(owner)
                    else:
                        beyond[owner] = self._claimed + len(rows[owner])
                if owners is new:
                    rounds.append((number, self._claimed))
            ring = going
            number += 1

    def _place_of(self, owner: Owner) -> int:
        """Where the owner stands in the ring by now."""
        served = self._served.get(owner)
        return self._ring.place(owner) if served is None else served

    def _take(self, owner: Owner, row: list[Turn]) -> bool:
        """The owner claims one; whether anything was claimed."""
        load = self._load
        if load.owner_max is not None and self._running[owner] >= load.owner_max:
            for ahead, turn in enumerate(reversed(row)):
                self._place(turn, self._claimed + ahead, "user")
            return False
        while row:
            turn = row.pop()
            agent = turn.agent
            if not load.agent_has_slot(agent, self._agents[agent] if agent is not None else 0):
                assert agent is not None
                self._place(turn, self._claimed + self._held_up[agent], "agent")
                self._held_up[agent] += 1
                continue
            self._place(turn, self._claimed, "slots")
            self._claimed += 1
            self._running[owner] += 1
            self._served[owner] = self._latest + self._claimed
            if agent is not None:
                self._agents[agent] += 1
            return True
        return False

    def _place(self, turn: Turn, place: int, reason: Reason) -> None:
        self.placed[turn.number] = _Placed(place, reason)
        self._rows.setdefault(turn.owner, []).append((turn.rank, turn.number, place))

"""The index of what may be claimed: hints in order, checked when they are taken.

A number in it says "look at this journal", not "this one is claimable": whoever takes it checks the conditions against
what holds now, and files it where the next hint will come from (a time, or the seal of the request before it). So an
index that says too much costs a look, and nothing has to be taken back when a commit fails.
"""

from __future__ import annotations

from heapq import heappop, heappush

from .base import Key, Owner


class Ready:
    """Numbers of journals to look at, oldest first; each is in it at most once."""

    def __init__(self) -> None:
        self._heap: list[int] = []
        self._in: set[int] = set()
        self._timed: list[tuple[int, int]] = []
        self._timed_in: set[tuple[int, int]] = set()
        self._followers: dict[Key, dict[int, None]] = {}
        self._slots: dict[Owner, list[int]] = {}
        self._slots_in: set[int] = set()

    def hint(self, number: int) -> None:
        """Look at it soon."""
        if number not in self._in:
            self._in.add(number)
            heappush(self._heap, number)

    def at(self, when: int, number: int) -> None:
        """Look at it at this time (ms)."""
        if (when, number) not in self._timed_in:
            self._timed_in.add((when, number))
            heappush(self._timed, (when, number))

    def follow(self, key: Key, number: int) -> None:
        """Look at it when `key` is sealed."""
        self._followers.setdefault(key, {})[number] = None

    def sealed(self, key: Key) -> None:
        """`key` was sealed, or is gone."""
        for number in self._followers.pop(key, ()):
            self.hint(number)

    def wait_slot(self, owner: Owner, number: int) -> None:
        """Look at it when a request of this owner stops running."""
        if number not in self._slots_in:
            self._slots_in.add(number)
            heappush(self._slots.setdefault(owner, []), number)

    def slot(self, owner: Owner) -> None:
        """One of the owner's stopped running, or gave up its turn: the oldest that waits for that is next."""
        waiting = self._slots.get(owner)
        if waiting:
            number = heappop(waiting)
            self._slots_in.discard(number)
            self.hint(number)
            if not waiting:
                del self._slots[owner]

    def due(self, now: int) -> None:
        """Time has come to `now`."""
        while self._timed and self._timed[0][0] <= now:
            entry = heappop(self._timed)
            self._timed_in.discard(entry)
            self.hint(entry[1])

    @property
    def next_at(self) -> int | None:
        """When the next timed hint is due."""
        return self._timed[0][0] if self._timed else None

    def first(self) -> int | None:
        """The oldest hint; it stays."""
        return self._heap[0] if self._heap else None

    def pop(self) -> int | None:
        """Take the oldest hint."""
        if not self._heap:
            return None
        number = heappop(self._heap)
        self._in.discard(number)
        return number

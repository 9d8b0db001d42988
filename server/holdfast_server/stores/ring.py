"""Where owners stand among those of whom equally many run: by when they were served, or began to wait, whichever is later.

Who begins to wait joins behind everybody who waits already, and goes to the end again with each turn. So nobody can be
passed again and again by those who come new: at most each who waits now goes first, once.
"""

from __future__ import annotations

from collections import Counter

from .base import Owner


class Ring:
    """The owners who wait. A place is a number that grows with each turn and each beginning; no two are the same."""

    def __init__(self) -> None:
        self.latest = 0
        """The last place that was given."""
        self._places: dict[Owner, int] = {}
        self._waiting: Counter[Owner] = Counter()

    def place(self, owner: Owner) -> int:
        """Of somebody who waits."""
        return self._places[owner]

    def join(self, owner: Owner) -> None:
        """One more of the owner's waits."""
        self._waiting[owner] += 1
        if owner not in self._places:
            self._give(owner)

    def leave(self, owner: Owner) -> None:
        """One of the owner's does not any more. Whose last it was has no place: later ones begin anew."""
        self._waiting[owner] -= 1
        if not self._waiting[owner]:
            del self._waiting[owner], self._places[owner]

    def serve(self, owner: Owner) -> None:
        """The owner has had a turn: if more of theirs waits, then after everybody."""
        if owner in self._places:
            self._give(owner)

    def put_back(self, owner: Owner, place: int) -> None:
        """The owner, who waits, has the place again from before a turn that came to nothing."""
        self._places[owner] = place

    def _give(self, owner: Owner) -> None:
        self.latest += 1
        self._places[owner] = self.latest

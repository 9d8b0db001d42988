"""The backlog: which journals wait for the projector, in the order of commits, owner by owner in turn.

Every commit that is noted gets a number, its place. One owner's keys are taken in the order of their places, and owners
take turns, so that neither much of one owner nor a key that is refused again and again keeps the others waiting. A key
that was taken still counts until it is done, so `reached` says up to which place nothing of an owner is left.
"""

from __future__ import annotations

from collections.abc import Iterator

from .stores.base import Key, Owner


class Backlog:
    """Keys only, never data; whoever notes bounds how many."""

    def __init__(self) -> None:
        self.noted = 0
        self._keys: dict[Owner, dict[Key, int]] = {}  # owners in the order of their turns
        self._taken: tuple[Key, int] | None = None
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def note(self, key: Key) -> None:
        """A key that waits already keeps its turn: when that comes, the journal is read as it is then."""
        self.noted += 1
        keys = self._keys.setdefault(key.owner, {})
        if key not in keys:
            keys[key] = self.noted
            self._size += 1

    def clear(self) -> None:
        """Let go of all that wait."""
        self._keys.clear()
        self._size = 0

    def take(self) -> Key:
        """The next one's oldest, out of the queue: noted from now on, it gets another turn. `done` or `back` follows."""
        owner = next(iter(self._keys))
        keys = self._keys.pop(owner)
        key = next(iter(keys))
        self._taken = key, keys.pop(key)
        self._size -= 1
        if keys:
            self._keys[owner] = keys
        return key

    def done(self) -> None:
        """What was taken is in the history, as it was when it was taken or later."""
        self._taken = None

    def back(self) -> None:
        """What was taken is not: it stays its owner's first, and the other owners get their turns before."""
        if self._taken is None:
            return
        (key, place), self._taken = self._taken, None
        later = self._keys.pop(key.owner, {})
        self._size += key not in later
        later.pop(key, None)
        self._keys[key.owner] = {key: place, **later}

    def reached(self, owner: Owner | None = None) -> int:
        """Up to which place all is done, of this owner's or of everybody's."""
        return min(self._first_places(owner), default=self.noted + 1) - 1

    def _first_places(self, owner: Owner | None) -> Iterator[int]:
        if self._taken is not None and owner in (None, self._taken[0].owner):
            yield self._taken[1]
        for keys in self._keys.values() if owner is None else (self._keys.get(owner),):
            if keys:
                yield next(iter(keys.values()))

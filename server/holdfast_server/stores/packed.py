"""Packed journals in memory: one object per journal for all who read it, and a bounded number kept for who comes next.

Those that somebody holds cannot be let go: a reader who stops in the middle of many long answers holds them all. So what
is held is counted, and beyond a bound nothing more is brought in until somebody lets go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from .base import Key, Unavailable
from .blob import unpack
from .disk import Disk
from .log import Log

EVENT_MEMORY_BYTES: Final = 200
"""What an event takes up in memory beside its text."""

HELD_BYTES_MAX: Final = 256 * 1024 * 1024
"""Packed journals that are held at once: some thousand long answers in the middle of being read."""


class PackedLogs:
    """Reads them from the disk, shares them, and lets them go."""

    def __init__(self, disk: Disk, bytes_max: int, held_bytes_max: int = HELD_BYTES_MAX) -> None:
        self._disk = disk
        self._bytes_max = bytes_max
        self._held: WeakValueDictionary[Key, Log] = WeakValueDictionary()  # whatever somebody holds
        self._warm: OrderedDict[Key, tuple[Log, int]] = (
            OrderedDict()
        )  # what is kept though nobody may hold it
        self._removals = 0
        self._held_bytes_max = held_bytes_max
        self.warm_bytes = 0

    @property
    def held_bytes(self) -> int:
        """What is in memory of them; counted when asked, because they are let go on any thread."""
        return sum(size_of(journal) for journal in list(self._held.values()))

    def get(self, key: Key) -> Log | None:
        """It, if it is in memory."""
        return self._held.get(key)

    async def read(self, key: Key) -> Log | None:
        """It, from the disk if need be. Raises: Damaged, Unavailable."""
        while (journal := self._held.get(key)) is None:
            if self.held_bytes > self._held_bytes_max:
                raise Unavailable("Too many long answers are being read at once; try again in a moment.")
            removals = self._removals
            found = await self._disk.find(key)
            if found is None:
                return None
            journal = await self._disk.offload(partial(unpack, found.packed))
            if removals == self._removals:
                journal.number, journal.version = found.number, found.summary.version
                journal.projected, journal.updated_at = found.summary.projected, found.summary.updated_at
                journal = self._held.setdefault(key, journal)
                break
        return self._warmed(journal)

    def add(self, journal: Log) -> None:
        """It was packed just now: who holds it shares it with who asks for it."""
        journal.forget_fold()
        self._held[journal.key] = journal
        self._warmed(journal)

    def _warmed(self, journal: Log) -> Log:
        """Keep it for the next reader, and let go of those nobody asked for lately."""
        known = self._warm.pop(journal.key, None)
        size = known[1] if known is not None else size_of(journal)
        self._warm[journal.key] = (journal, size)
        self.warm_bytes += 0 if known is not None else size
        while self.warm_bytes > self._bytes_max and self._warm:
            _, (_, size) = self._warm.popitem(last=False)
            self.warm_bytes -= size
        return journal

    def projected(self, keys: Sequence[Key]) -> None:
        """The history has taken them."""
        for key in keys:
            journal = self._held.get(key)
            if journal is not None:
                journal.projected = True

    def forget(self, keys: Sequence[Key], *, erased: bool) -> None:
        """They are gone from the disk."""
        self._removals += 1
        for key in keys:
            kept = self._warm.pop(key, None)
            if kept is not None:
                self.warm_bytes -= kept[1]
            journal = self._held.pop(key, None)
            if journal is not None and erased:
                journal.erased = True
                journal.wake()


def size_of(journal: Log) -> int:
    """What it takes up in memory, about."""
    return journal.bytes + EVENT_MEMORY_BYTES * journal.tail

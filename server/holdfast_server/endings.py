"""Waiting for the outcomes of many requests at once: one observer of the journal for all who wait, no task per request.

Who watches is told which of its requests to look at again, not what became of them: that is read from the journal, so a
hint that comes twice, or for nothing, is harmless (I7).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from .journal import Journal
from .stores.base import Change, Key


class Watch:
    """One watcher: the keys that it should look at again."""

    def __init__(self) -> None:
        self._due: dict[Key, None] = {}
        self._there = asyncio.Event()

    def add(self, key: Key) -> None:
        """Look at this one again."""
        self._due[key] = None
        self._there.set()

    def take(self) -> list[Key]:
        """Those to look at, in the order in which they came; they are not named again without a new reason."""
        due = list(self._due)
        self._due.clear()
        self._there.clear()
        return due

    async def wait(self) -> None:
        """Return when there is one. Cancelling is harmless."""
        await self._there.wait()


class Endings:
    """The watchers of one node."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._watches: dict[Key, dict[Watch, None]] = {}
        self._opening: Counter[Key] = Counter()
        journal.observe(self._changed)

    @contextmanager
    def watch(self, keys: Collection[Key]) -> Iterator[Watch]:
        """Be told when one of these has ended or was erased. Begin with a look at all of them: what ended before is not
        told."""
        watch = Watch()
        for key in keys:
            self._watches.setdefault(key, {})[watch] = None
        try:
            yield watch
        finally:
            for key in keys:
                watches = self._watches.get(key, {})
                watches.pop(watch, None)
                if not watches:
                    self._watches.pop(key, None)

    @contextmanager
    def opening(self, keys: Collection[Key]) -> Iterator[None]:
        """Open these inside: until then, what is not there may still come. Whoever watches them looks again at the end,
        for who was refused is in no journal."""
        self._opening.update(keys)
        try:
            yield
        finally:
            self._opening.subtract(keys)
            for key in keys:
                if not self._opening[key]:
                    del self._opening[key]
            self._tell(keys)

    def is_opening(self, key: Key) -> bool:
        """Whether somebody is about to open it."""
        return key in self._opening

    def _tell(self, keys: Collection[Key]) -> None:
        for key in keys:
            for watch in self._watches.get(key, ()):
                watch.add(key)

    async def ended_at(self, key: Key) -> int | None:
        """When it ended, in ms; None if it has not. Raises: UnknownRequest if its journal is not there, Unavailable."""
        outcome = (await self._journal.head(key)).outcome
        return None if outcome is None else outcome.at

    def _changed(self, changes: Sequence[Change]) -> None:
        if not self._watches:
            return
        for change in changes:
            log = change.log
            if change.state and (log.sealed or log.erased):
                self._tell([log.key])

"""Waiting for the outcomes of many requests at once: one observer of the journal for all who wait, no task per request.

Who watches is told which of its requests to look at again, not what became of them: that is read from the journal, so a
hint that comes twice, or for nothing, is harmless (I7).

What ends on another node is told by the rows of its owner, who is held while somebody watches; such a hint may be lost, so
there the watched are looked at every few seconds too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from .journal import Journal
from .peers import Peers
from .stores.base import Change, Key, Summary

OPENING_MS: Final = 30_000
"""How long another node may take to open all requests of a batch."""

LOOK_S: Final = 5.0
"""How often what is watched is looked at where others run it too: what a lost hint costs at most."""


class Watch:
    """One watcher: the keys that it should look at again. `every`: all of them, every LOOK_S."""

    def __init__(self, every: Collection[Key] = ()) -> None:
        self._every = every
        self._look_at = asyncio.get_running_loop().time() + LOOK_S if every else 0.0
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
        if not self._every:
            await self._there.wait()
            return
        try:
            async with asyncio.timeout_at(self._look_at):
                await self._there.wait()
        except TimeoutError:
            self._look_at = asyncio.get_running_loop().time() + LOOK_S
            for key in self._every:
                self.add(key)


class Endings:
    """The watchers of one node."""

    def __init__(self, journal: Journal, peers: Peers | None = None) -> None:
        self._peers = peers if peers is not None else Peers()
        self._journal = journal
        self._watches: dict[Key, dict[Watch, None]] = {}
        self._opening: Counter[Key] = Counter()
        journal.observe(self._changed)
        self._peers.observe_rows(self._row_changed)
        self._peers.observe_gap(lambda: self._tell(list(self._watches)))

    @contextmanager
    def watch(self, keys: Collection[Key]) -> Iterator[Watch]:
        """Be told when one of these has ended or was erased. Begin with a look at all of them: what ended before is not
        told."""
        watch = Watch(() if self._peers.alone else tuple(keys))
        owners = {key.owner for key in keys}
        for owner in owners:
            self._peers.hold(owner)
        for key in keys:
            self._watches.setdefault(key, {})[watch] = None
        try:
            yield watch
        finally:
            for owner in owners:
                self._peers.let_go(owner)
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

    def is_opening(self, key: Key, age_ms: int = 0) -> bool:
        """Whether somebody may be about to open it. Who opens it on another node is not seen here: there it may be, as long
        as `age_ms`, the time since it was first spoken of, is short."""
        return key in self._opening or (not self._peers.alone and age_ms < OPENING_MS)

    def _tell(self, keys: Collection[Key]) -> None:
        for key in keys:
            for watch in self._watches.get(key, ()):
                watch.add(key)

    async def ended_at(self, key: Key) -> int | None:
        """When it ended, in ms; None if it has not. Raises: UnknownRequest if its journal is not there, Unavailable."""
        outcome = (await self._journal.head(key)).outcome
        return None if outcome is None else outcome.at

    def _row_changed(self, row: Summary, removed: bool) -> None:
        if removed or row.outcome is not None:
            self._tell([row.key])

    def _changed(self, changes: Sequence[Change]) -> None:
        if not self._watches:
            return
        for change in changes:
            log = change.log
            if change.state and (log.sealed or log.erased):
                self._tell([log.key])

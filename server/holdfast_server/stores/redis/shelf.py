"""Journals in this node's memory: one Log per journal for all who read it here, whoever writes it.

What somebody holds stays; what nobody holds stays a while, within a bound in bytes and one in number, for who comes next.
Events come in from several sides - the node's own appends, messages of others, reading what was missed - and each may be
late, so every one says where it begins, and what is there already is left out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Final
from weakref import WeakKeyDictionary, WeakValueDictionary

import structlog

from holdfast_protocol.events import Event
from holdfast_server.stores.base import Change, InboxItem, Key
from holdfast_server.stores.log import Log
from holdfast_server.stores.packed import size_of

from .keys import prefix_of, tag_in
from .rows import Fields, inbox_in, set_state

LOG_BYTES: Final = 2048
"""What a journal takes up in memory beside its events."""

WARM_LOGS_MAX: Final = 2000
"""Journals kept though nobody holds them: each that has not ended is asked after every second."""

log = structlog.get_logger(__name__)


class Place:
    """What the store knows of a log in memory beside the log itself."""

    __slots__ = ("__weakref__", "behind_at", "ended_at", "ends", "prefix", "tag")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.tag = tag_in(prefix)
        self.ends: list[int] = []  # where each commit ended: to write the same entries again
        self.ended_at: float | None = None  # when this node ended it, while it would write that end again
        self.behind_at: float | None = None  # since when the store holds less of it than we do


class Shelf:
    """The logs in memory, and who is told of their changes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._held: WeakValueDictionary[str, Log] = WeakValueDictionary()
        self._places: WeakKeyDictionary[Log, Place] = WeakKeyDictionary()
        self._warm: OrderedDict[str, tuple[Log, int]] = OrderedDict()
        self._changed: dict[Log, list[tuple[int, int, bool]]] = {}
        self.observers: list[Callable[[Sequence[Change]], None]] = []
        self.warm_bytes = 0

    def __iter__(self) -> Iterator[Log]:
        return iter(list(self._held.values()))

    @property
    def held_bytes(self) -> int:
        """What is in memory; counted when asked, because logs are let go on any thread."""
        return sum(size_of(journal) + LOG_BYTES for journal in self)

    def get(self, key: Key) -> Log | None:
        """It, if it is in memory."""
        return self._held.get(prefix_of(key))

    def at(self, prefix: str) -> Log | None:
        """It, by the prefix of its keys."""
        return self._held.get(prefix)

    def place(self, journal: Log) -> Place:
        """What is known of it beside. It must have been put here; it stays so after it is dropped."""
        return self._places[journal]

    def put(self, journal: Log, ends: Sequence[int]) -> Log:
        """It is in memory now; the one that was there before, if there was."""
        prefix = prefix_of(journal.key)
        known = self._held.get(prefix)
        if known is not None:
            return self.touch(known)
        place = self._places[journal] = Place(prefix)
        place.ends = list(ends)
        self._held[prefix] = journal
        return self.touch(journal)

    def touch(self, journal: Log) -> Log:
        """Keep it for the next reader, and let go of those nobody asked for lately."""
        prefix = self._places[journal].prefix
        if self._held.get(prefix) is journal:
            self._cool(prefix)
            size = size_of(journal) + LOG_BYTES
            self._warm[prefix] = (journal, size)
            self.warm_bytes += size
            while self._warm and (self.warm_bytes > self._bytes_max or len(self._warm) > WARM_LOGS_MAX):
                self._cool(next(iter(self._warm)))
        return journal

    def _cool(self, prefix: str) -> None:
        known = self._warm.pop(prefix, None)
        if known is not None:
            self.warm_bytes -= known[1]

    def resize(self) -> None:
        """Count again what is kept: logs have grown."""
        for prefix in list(self._warm):
            journal, size = self._warm[prefix]
            now = size_of(journal) + LOG_BYTES
            self._warm[prefix] = (journal, now)
            self.warm_bytes += now - size
        while self._warm and self.warm_bytes > self._bytes_max:
            self._cool(next(iter(self._warm)))

    def drop(self, journal: Log) -> None:
        """It is not what the store holds any more; who reads it reads on."""
        prefix = self._places[journal].prefix
        if self._held.get(prefix) is journal:
            self._cool(prefix)
            del self._held[prefix]

    # -- changes ---------------------------------------------------------------------------------------------

    def grow(self, journal: Log, start: int, events: Sequence[Event]) -> bool:
        """The store holds these from `start` on. False, and nothing is done, if something before them is missing. Raises:
        IllegalEvent if they do not fit what is here."""
        tail = journal.tail
        if start > tail:
            return False
        end = start + len(events)
        if end > tail:
            journal.extend(events[tail - start :])
            self._places[journal].ends.append(end)
            self.note(journal, tail, end, state=False)
        return True

    def restate(self, journal: Log, fields: Fields, inbox: Sequence[bytes] = ()) -> bool:
        """The store holds this row, and these inputs if the row has more than we do. False if the inputs are missing; what
        is older than what is here is left out. The events are there already."""
        version = int(fields[b"ver"])
        if version < journal.version:
            return True
        if inbox:
            self.take_inputs(journal, inbox_in(inbox))
        whole = int(fields[b"inb"]) <= len(journal.inbox)
        if whole:
            changed = version > journal.version
            set_state(journal, fields)
            if changed:
                self.note(journal, journal.tail, journal.tail, state=True)
        return whole

    def take_inputs(self, journal: Log, items: Sequence[InboxItem]) -> None:
        """The whole inbox as the store has it."""
        journal.inbox.extend(items[len(journal.inbox) :])

    def note(self, journal: Log, start: int, end: int, *, state: bool) -> None:
        """Something has changed, and will be told."""
        changes = self._changed.setdefault(journal, [])
        if changes and changes[-1][1] == start:
            first, _, before = changes[-1]
            changes[-1] = (first, end, before or state)
        else:
            changes.append((start, end, state))

    def tell(self) -> None:
        """Wake who waits and tell the observers of everything noted."""
        if not self._changed:
            return
        changed, self._changed = self._changed, {}
        for journal in changed:
            journal.wake()
        changes = [Change(journal, *change) for journal, noted in changed.items() for change in noted]
        for observer in self.observers:
            try:
                observer(changes)
            except Exception:  # one that breaks its promise must not stop the rest
                log.exception("an observer of the store failed")

    def remove(self, journal: Log, *, lost: bool = False) -> None:
        """It was erased, or the store lost it."""
        self.drop(journal)
        journal.erased, journal.lost = True, lost
        journal.wake()
        if not lost:
            self.note(journal, journal.tail, journal.tail, state=True)

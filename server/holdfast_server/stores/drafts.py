"""The drafts of one commit in the making, and how an operation finds the one that it may change."""

from __future__ import annotations

from .base import Fenced, JournalSealed, Key
from .draft import Draft
from .journals import Journals
from .log import Log


class Elsewhere(Exception):
    """The journal is not in memory: it is packed, or it is not there."""


class Drafts:
    """At most one of each journal: what is committed, and what earlier operations of the same stage have done to it."""

    def __init__(self, journals: Journals) -> None:
        self.all: list[Draft] = []  # in the order in which they were first touched
        self._journals = journals
        self._by_key: dict[Key, Draft] = {}
        self._opened: dict[int, Draft] = {}

    def find(self, key: Key) -> Draft | None:
        """The draft of a journal that is in memory and not removed."""
        draft = self._by_key.get(key)
        if draft is None:
            log = self._journals.by_key.get(key)
            return None if log is None else self.add(Draft(log))
        return None if draft.removed or draft.packed is not None else draft

    def touched(self, key: Key) -> Draft | None:
        """The draft that an earlier operation made, of a journal that it removed or packed too."""
        return self._by_key.get(key)

    def add(self, draft: Draft) -> Draft:
        """It is among them now."""
        self._by_key[draft.log.key] = draft
        if draft.opened:
            self._opened[draft.log.number] = draft
        self.all.append(draft)
        return draft

    def number(self, number: int) -> Draft | None:
        """The same as `find`, by the journal's number."""
        draft = self._opened.get(number)
        if draft is not None:
            return None if draft.removed else draft
        log = self._journals.by_number.get(number)
        return None if log is None else self.find(log.key)

    def unsealed(self, key: Key) -> Draft:
        """One that has not ended. Raises: Elsewhere, JournalSealed."""
        draft = self.find(key)
        if draft is None:
            raise Elsewhere
        if draft.sealed:
            raise JournalSealed(draft.status)
        return draft

    def mine(self, log: Log, term: int) -> Draft:
        """The draft for the holder of `term`. Raises: JournalSealed, Fenced."""
        draft = self.find(log.key)
        if draft is None or draft.log is not log:
            if log.sealed:
                raise JournalSealed(log.status)
            gone = self._by_key.get(log.key)
            if gone is not None and gone.log is log and gone.sealed:
                raise JournalSealed(gone.status)
            raise Fenced(f"{log.key.request_id} is gone")
        if draft.sealed:
            raise JournalSealed(draft.status)
        if draft.term != term or not draft.lease:
            raise Fenced(f"term {term} of {log.key.request_id} has ended; the present one is {draft.term}")
        return draft

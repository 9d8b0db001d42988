"""What is committed and in memory: the journals themselves, and the conditions under which one may be claimed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from holdfast_protocol.events import Waiting

from .base import Key, Owner, Record
from .load import Load
from .log import Log
from .ready import Ready


class Shelf:
    """Journals by number, each found by whose it is, and by its chat too: a list costs what it shows."""

    def __init__(self) -> None:
        self._of: dict[tuple[Owner | None, str | None], dict[int, Log]] = {}

    def add(self, log: Log) -> None:
        """It belongs here now."""
        for place in _places(log):
            self._of.setdefault(place, {})[log.number] = log

    def drop(self, log: Log) -> bool:
        """It does no longer; whether it did."""
        there = False
        for place in _places(log):
            logs = self._of.get(place, {})
            there = logs.pop(log.number, None) is not None
            if there and not logs:
                del self._of[place]
        return there

    def of(self, owner: Owner | None, chat_id: str | None) -> Mapping[int, Log]:
        """Those of this owner (None: everybody) and chat (None: all). Read it at once; do not keep it."""
        if owner is None and chat_id is not None:  # for operators only: not worth an index
            everything = self._of.get((None, None), {})
            return {number: log for number, log in everything.items() if log.record.chat_id == chat_id}
        return self._of.get((owner, chat_id), {})


def _places(log: Log) -> list[tuple[Owner | None, str | None]]:
    owner, chat_id = log.key.owner, log.record.chat_id
    places: list[tuple[Owner | None, str | None]] = [(None, None), (owner, None)]
    return places if chat_id is None else [*places, (owner, chat_id)]


class Journals:
    """What is committed and in memory: every unsealed journal, and the sealed ones that are not packed yet."""

    def __init__(
        self, owner_running_max: int | None = None, agents_max: Mapping[str, int] | None = None
    ) -> None:
        self.load = Load(owner_running_max, agents_max or {})  # with what the stage in the making has changed
        self.by_key: dict[Key, Log] = {}
        self.by_number: dict[int, Log] = {}
        self.active = Shelf()  # those without an outcome
        self.ended = Shelf()  # those with one
        self.first_seq: dict[int, int] = {}  # the first segment that a journal needs
        self.ready = Ready(self.load)
        self.next_number = 1
        self.next_seq = 1
        self.packings = 0  # how many commits moved journals out of memory

    def add(self, log: Log, seq: int) -> None:
        """It is committed."""
        self.by_key[log.key] = log
        self.by_number[log.number] = log
        (self.ended if log.sealed else self.active).add(log)
        self.first_seq[log.number] = seq

    def sealed(self, log: Log) -> None:
        """It has its outcome, if it is still here."""
        if self.active.drop(log):
            self.ended.add(log)

    def drop(self, log: Log) -> None:
        """It is packed or removed."""
        del self.by_key[log.key], self.by_number[log.number], self.first_seq[log.number]
        self.active.drop(log)
        self.ended.drop(log)


class Claimable(Protocol):
    """What the conditions are about: a log, or a draft of one."""

    lease: bool
    parked: bool
    waiting: Waiting | None

    @property
    def sealed(self) -> bool:
        """Whether the outcome is there."""

    @property
    def record(self) -> Record:
        """What was asked."""


class Look(NamedTuple):
    """Why a journal cannot be claimed now, and what to wait for."""

    claimable: bool
    at: int | None = None
    after: Key | None = None


def look(state: Claimable, now: int) -> Look:
    """The conditions of a claim except that `after` is sealed, which is for the caller to check if it is given."""
    if state.sealed or state.lease:
        return Look(False)
    if state.parked:
        expires = state.waiting.expires_at if state.waiting is not None else None
        return Look(expires is not None and expires <= now, at=expires)
    record = state.record
    if record.not_before > now:
        return Look(False, at=record.not_before)
    if record.after is not None:
        return Look(True, after=record.key._replace(request_id=record.after))
    return Look(True)

"""What is committed and in memory: the journals themselves, and the conditions under which one may be claimed."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, Protocol

from holdfast_protocol.events import Waiting

from .base import Key, Owner, Record
from .log import Log
from .ready import Ready


class Journals:
    """What is committed and in memory: every unsealed journal, and the sealed ones that are not packed yet."""

    def __init__(self, owner_running_max: int | None = None) -> None:
        self.owner_running_max = owner_running_max
        self.running: Counter[Owner] = Counter()  # leases held
        self.by_key: dict[Key, Log] = {}
        self.by_number: dict[int, Log] = {}
        self.first_seq: dict[int, int] = {}  # the first segment that a journal needs
        self.ready = Ready()
        self.next_number = 1
        self.next_seq = 1
        self.packings = 0  # how many commits moved journals out of memory

    def has_slot(self, owner: Owner, more: int = 0) -> bool:
        """Whether one more of the owner's may run, if `more` than is committed do."""
        most = self.owner_running_max
        return most is None or self.running[owner] + more < most

    def add(self, log: Log, seq: int) -> None:
        """It is committed."""
        self.by_key[log.key] = log
        self.by_number[log.number] = log
        self.first_seq[log.number] = seq

    def drop(self, log: Log) -> None:
        """It is packed or removed."""
        del self.by_key[log.key], self.by_number[log.number], self.first_seq[log.number]


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

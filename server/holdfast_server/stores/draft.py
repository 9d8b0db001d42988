"""A journal as the commit in the making will leave it, what of that is written, and how it then comes to be."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdfast_protocol.cursor import Epoch
from holdfast_protocol.events import Delta, Event, Outcome, Started
from holdfast_protocol.lifecycle import OUTCOME_STATUSES, next_status

from .base import Account, InboxItem, Record
from .blob import Packed
from .disk import Cold, Entry, State
from .journals import Journals
from .log import Log, next_wait


class Draft:
    """A journal as this stage will leave it."""

    __slots__ = (
        "accounts", "epochs", "events", "inbox", "inbox_seen", "lease", "log", "opened", "outcome", "packed", "parked",
        "projected", "released", "removed", "restated", "row", "status", "term", "waiting",
    )  # fmt: skip

    def __init__(self, log: Log, *, opened: bool = False) -> None:
        self.log = log
        self.opened = opened
        self.row = opened  # its state changes, not only its events
        self.events: list[Event] = []
        self.epochs: list[Epoch] = []
        self.inbox: list[InboxItem] = []
        self.accounts: list[Account] = []
        self.status = log.status
        self.term = log.term
        self.lease = log.lease
        self.released = log.released
        self.parked = log.parked
        self.inbox_seen = log.inbox_seen
        self.waiting = log.waiting
        self.projected = log.projected
        self.outcome: Outcome | None = None  # if it is sealed here
        self.removed: str = ""  # "erased" or "purged"
        self.packed: Packed | None = None
        self.restated = False

    @property
    def record(self) -> Record:
        """What was asked."""
        return self.log.record

    @property
    def tail(self) -> int:
        """The offset after the last event."""
        return self.log.tail + len(self.events)

    @property
    def sealed(self) -> bool:
        """Whether the outcome is there."""
        return self.status in OUTCOME_STATUSES

    def all_inbox(self) -> list[InboxItem]:
        """Everything that came in."""
        return self.log.inbox + self.inbox

    def extend(self, events: Sequence[Event]) -> None:
        """Add events at the tail. Raises: IllegalEvent, and then nothing has changed."""
        status, waiting, row, outcome = self.status, self.waiting, self.row, None
        for event in events:
            if type(event) is Delta and status == "running":
                continue
            before, status = status, next_status(status, event)
            waiting = next_wait(waiting, event)
            row = row or status != before or isinstance(event, Started)
            if isinstance(event, Outcome):
                outcome = event
        self.status, self.waiting, self.row = status, waiting, row
        self.events.extend(events)
        self.outcome = outcome if outcome is not None else self.outcome

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(
            self.row
            or self.events
            or self.accounts
            or self.removed
            or self.packed is not None
            or self.restated
        )


def cold(draft: Draft, packed: Packed) -> Cold:
    """The row of a draft that is packed here."""
    log = draft.log
    accounts = {**log.accounts, **{account.term: account for account in draft.accounts}}
    summary = msgspec.structs.replace(
        log.summary(), projected=draft.projected, version=log.version + draft.row
    )
    return Cold(log.number, summary, log.updated_at, packed, [accounts[term] for term in sorted(accounts)])


def entry(draft: Draft) -> Entry:
    """What a draft adds to the segment."""
    log = draft.log
    state: State | None = None
    if draft.row or draft.accounts or draft.removed or draft.restated:
        whole = draft.opened or draft.restated
        state = State(
            record=log.record if whole else None,
            version=log.version + draft.row,
            parked=draft.parked,
            released=draft.released,
            projected=draft.projected,
            removed=bool(draft.removed),
            inbox_seen=draft.inbox_seen,
            epochs=log.chain[1:] + draft.epochs if draft.restated else draft.epochs,
            inbox=draft.all_inbox() if draft.restated else draft.inbox,
            accounts=[*log.accounts.values(), *draft.accounts] if draft.restated else draft.accounts,
        )
    if draft.restated and not draft.opened:
        return Entry(log.number, 0, log.events + draft.events, state)
    return Entry(log.number, log.tail, draft.events, state)


def land(draft: Draft, journals: Journals, seq: int) -> None:
    """The disk holds the draft, in the segment `seq`: make it so in memory. Whoever waits for its log is not woken yet."""
    log = draft.log
    log.extend(draft.events)
    if draft.row:
        log.version += 1
        log.chain.extend(draft.epochs)
        log.term, log.lease, log.released, log.parked = (
            draft.term,
            draft.lease,
            draft.released,
            draft.parked,
        )
        log.inbox.extend(draft.inbox)
        log.inbox_seen, log.projected = draft.inbox_seen, draft.projected
    for account in draft.accounts:
        log.accounts[account.term] = account
    if draft.opened:
        journals.add(log, seq)
    elif draft.restated:
        journals.first_seq[log.number] = seq
    if draft.outcome is not None:
        journals.sealed(log)
    if draft.removed:
        log.erased = draft.removed == "erased"
    log.compacted = log.compacted or draft.packed is not None
    if draft.removed or draft.packed is not None:
        journals.drop(log)
        journals.packings += 1
    if draft.sealed or draft.removed:
        journals.ready.drop(log.number)
        journals.ready.sealed(log.key)
    elif draft.row and not draft.lease:
        journals.ready.hint(log)

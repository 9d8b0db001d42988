"""A history, sorted for the checker: who asked what and was told what, what each reader was given, what stands in the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from holdfast_protocol import events as ev
from holdfast_protocol.digest import Digest
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.fold import Fold
from holdfast_protocol.lifecycle import Status

from .history import Entry

_EVENTS = list[ev.KnownEvent]
READER_OPS = frozenset({"open", "page", "snapshot", "caught_up", "told_end", "start_over", "lost", "left"})

_LISTS = {
    "listed": "listed", "call": "calls", "fault": "faults", "gave_up": "troubles", "broke": "troubles",
    "unread": "troubles",
}  # fmt: skip


class Key(NamedTuple):
    """Whose request."""

    user: str
    request: str

    def __str__(self) -> str:
        return f"{self.user}/{self.request}"


class Epoch(NamedTuple):
    """A term that the journal shows, and the offset at which it begins."""

    term: int
    nonce: str
    start: int


def events_of(plain: Any) -> list[ev.Event]:
    """Events as they stand in a history."""
    return list(msgspec.convert(plain, _EVENTS))


@dataclass(slots=True)
class Op:
    """Something that was asked, and what came of it. `phase` stays `info` where no reply came."""

    what: str
    key: Key
    asked_s: float
    asked: Entry
    phase: str = "info"
    told_s: float | None = None
    told: Entry = field(default_factory=dict)


@dataclass
class Journal:
    """A journal as it stands in the end. `legal`: how far it can be folded."""

    key: Key
    events: list[ev.Event]
    sealed: bool
    nodes: list[str]

    @cached_property
    def chain(self) -> list[Epoch]:
        """The terms that it shows; a term whose first event never became durable is not among them."""
        chain: list[Epoch] = []
        offset = 0
        for event in self.events:
            if isinstance(event, ev.Accepted):
                chain.append(Epoch(0, event.nonce, offset))
            elif isinstance(event, ev.Started) and (not chain or chain[-1].term != event.term):
                chain.append(Epoch(event.term, event.nonce, offset))
            offset += event.span
        return chain

    @cached_property
    def _folded(self) -> tuple[dict[int, tuple[Digest, Status]], Fold, str | None]:
        fold = Fold()
        states: dict[int, tuple[Digest, Status]] = {0: (fold.digest(), fold.status)}
        for event in self.events:
            try:
                fold.apply(event)
            except IllegalEvent as error:
                return states, fold, f"at {fold.offset}: {error}"
            states[fold.offset] = (fold.digest(), fold.status)
        return states, fold, None

    @property
    def states(self) -> dict[int, tuple[Digest, Status]]:
        """What a reader shows who has read so far, by offset."""
        return self._folded[0]

    @property
    def fold(self) -> Fold:
        """All of it, folded."""
        return self._folded[1]

    @property
    def illegal(self) -> str | None:
        """What cannot be folded, if anything."""
        return self._folded[2]

    @property
    def outcomes(self) -> list[ev.Event]:
        """Its outcomes: one, in a sound one that has ended."""
        return [event for event in self.events if isinstance(event, ev.OUTCOMES)]

    @property
    def terms(self) -> int:
        """How often it was claimed, as far as it shows."""
        return max((epoch.term for epoch in self.chain), default=0)


@dataclass
class Evidence:
    """See the module's text."""

    run: Entry
    ops: list[Op]
    readers: dict[tuple[str, Key], list[Entry]]
    refused: list[tuple[Key, Entry]]
    journals: dict[Key, list[Journal]]
    rows: dict[Key, list[Entry]]
    listed: list[Entry]
    calls: list[Entry]
    faults: list[Entry]
    troubles: list[Entry]
    quiet_s: float | None
    over: bool

    @cached_property
    def acknowledged(self) -> dict[Key, float]:
        """When each request was first acknowledged."""
        first: dict[Key, float] = {}
        for op in self.ops:
            if op.what == "submit" and op.phase == "ok" and op.told_s is not None:
                first[op.key] = min(op.told_s, first.get(op.key, op.told_s))
        return first

    @cached_property
    def asked(self) -> dict[Key, list[Op]]:
        """The submits of each request, in order."""
        return self._of("submit")

    def _of(self, what: str) -> dict[Key, list[Op]]:
        out: dict[Key, list[Op]] = defaultdict(list)
        for op in self.ops:
            if op.what == what:
                out[op.key].append(op)
        return out

    @cached_property
    def cancels(self) -> dict[Key, list[Op]]:
        """The cancels of each request, in order."""
        return self._of("cancel")

    @cached_property
    def decisions(self) -> dict[Key, list[Op]]:
        """The decisions on each request, in order."""
        return self._of("decide")

    def journal(self, key: Key) -> Journal | None:
        """The journal that stands, as the first node showed it."""
        found = self.journals.get(key)
        return found[0] if found else None


def sort(entries: Iterable[Entry]) -> Evidence:
    """Sort a history. Raises: KeyError, msgspec.ValidationError for one that is none."""
    evidence = Evidence({}, [], defaultdict(list), [], {}, defaultdict(list), [], [], [], [], None, False)
    ops: dict[int, Op] = {}
    for entry in entries:
        what = entry["op"]
        if what in ("submit", "cancel", "decide"):
            _operation(evidence, ops, entry)
        elif what in READER_OPS:
            evidence.readers[entry["reader"], Key(entry["user"], entry["request"])].append(entry)
        elif what == "journal":
            _journal(evidence, entry)
        elif what == "refused":
            evidence.refused.append((Key(entry["user"], entry["request"]), entry))
        elif what == "row":
            evidence.rows[Key(entry["user"], entry["request"])].append(entry)
        elif what == "run":
            evidence.run = entry
        elif what == "quiet":
            evidence.quiet_s = entry["t"]
        elif what == "over":
            evidence.over = True
        elif what in ("listed", "call", "fault", "gave_up", "broke", "unread"):
            getattr(evidence, _LISTS[what]).append(entry)
    return evidence


def _operation(evidence: Evidence, ops: dict[int, Op], entry: Entry) -> None:
    if entry["phase"] == "invoke":
        op = Op(entry["op"], Key(entry["user"], entry["request"]), entry["t"], entry)
        ops[entry["id"]] = op
        evidence.ops.append(op)
    else:
        op = ops[entry["id"]]
        op.phase, op.told_s, op.told = entry["phase"], entry["t"], entry


def _journal(evidence: Evidence, entry: Entry) -> None:
    """Journals that are alike are kept once: mostly each node shows the same."""
    key = Key(entry["user"], entry["request"])
    events = events_of(entry["events"])
    known = evidence.journals.setdefault(key, [])
    for journal in known:
        if journal.events == events and journal.sealed == entry["sealed"]:
            journal.nodes.append(entry["node"])
            return
    known.append(Journal(key, events, entry["sealed"], [entry["node"]]))

"""What readers were given, against the journals that stand: nothing skipped, nothing twice, nothing of a fenced writer, and
in the end the same bytes.

A reader is judged as one who applies what it is sent, in order, to what it has. Where that differs from the journal that
stands it must have been told afterwards to drop it (a snapshot), before it was told that it has all.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast_protocol.cursor import parse_cursor
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.fold import Fold

from .evidence import Evidence, Journal, Key, events_of
from .history import Entry

LEAVES = frozenset({"reloaded", "enough"})
"""Why a reader may go before the end: its program was started anew, or it only wanted a look."""


class Follower:
    """One reader of one request, folded anew by the checker. `take` gives what is wrong with each entry."""

    def __init__(self, name: str, journal: Journal) -> None:
        self._name = name
        self._journal = journal
        self._fold = Fold()
        self._staging: Fold | None = None
        self._term = 0
        self._doubt: str | None = None
        self.ended = False
        self.gone = False

    def take(self, entry: Entry) -> Iterator[str]:
        """Judge the next entry."""
        match entry["op"]:
            case "open":
                yield from self._open(entry)
            case "snapshot":
                self._staging, self._doubt, self._term = Fold(), None, 0
            case "page":
                yield from self._page(entry)
            case "caught_up":
                yield from self._caught_up(entry)
            case "told_end":
                yield from self._end()
            case "start_over":
                self._staging = None
                yield f"verified: {self._name} was sent what did not fit, and had to begin anew"
            case "lost":
                self.gone = True
                yield f"lost: {self._name}: {entry['reason']}"
            case "left":
                self.gone = entry["why"] in LEAVES

    def rest(self) -> Iterator[str]:
        """What is wrong once nothing follows."""
        if self._doubt is not None:
            yield self._doubt
        if not self.ended and not self.gone:
            yield f"liveness: {self._name} was never told the end; it is at {self._fold.offset}"

    def _open(self, entry: Entry) -> Iterator[str]:
        self._staging = None
        if entry["cursor"] is None:
            self._fold = Fold()
        elif parse_cursor(entry["cursor"]).offset != self._fold.offset:
            yield f"offsets: {self._name} comes back at {entry['cursor']}, and has {self._fold.offset}"

    def _page(self, entry: Entry) -> Iterator[str]:
        if entry.get("staged") is False:
            self._staging = None  # a connection that ended in the middle of a snapshot
        target = self._fold if self._staging is None else self._staging
        before = target.offset
        if entry["start"] is not None and entry["start"] != before:
            yield f"offsets: {self._name} has {before}, and was sent what begins at {entry['start']}"
            return
        try:
            target.apply_all(events_of(entry["events"]))
        except IllegalEvent as error:
            yield f"offsets: {self._name} was sent at {before} what cannot stand there: {error}"
            return
        if entry["next"] is None:
            return
        cursor = parse_cursor(entry["next"])
        if cursor.offset != target.offset:
            yield f"offsets: {self._name} was sent {before} to {target.offset}, with the cursor {cursor}"
            return
        yield from self._fenced(entry["next"])
        if self._staging is not None and "staged" not in entry:
            # Over HTTP the last event of a snapshot has a place; over the WebSocket the digest ends it.
            self._fold, self._staging = self._staging, None
        if self._staging is None:
            self._compare()

    def _compare(self) -> None:
        """Whether what it shows is what the journal shows there; a doubt stays until it is told otherwise."""
        fold = self._fold
        known = self._journal.states.get(fold.offset)
        if known is None:
            self._doubt = self._doubt or (
                f"seen: {self._name} was shown {fold.offset} events; the journal has {self._journal.fold.offset}"
            )
        elif known != (fold.digest(), fold.status):
            self._doubt = self._doubt or f"seen: {self._name} was shown other events up to {fold.offset}"

    def _fenced(self, text: str) -> Iterator[str]:
        cursor = parse_cursor(text)
        for epoch in self._journal.chain:
            if epoch.term > cursor.term and epoch.start < cursor.offset:
                yield (
                    f"fenced: {self._name} was sent up to {cursor.offset} under term {cursor.term}; "
                    f"term {epoch.term} had begun at {epoch.start}"
                )
                break
            if epoch.term == cursor.term and epoch.nonce != cursor.nonce:
                self._doubt = (
                    self._doubt or f"fenced: {self._name} was sent {cursor}; the term is {epoch.nonce}'s"
                )
        if cursor.term < self._term:
            yield f"fenced: {self._name} was sent term {cursor.term} after term {self._term}"
        self._term = max(self._term, cursor.term)

    def _caught_up(self, entry: Entry) -> Iterator[str]:
        target = self._fold if self._staging is None else self._staging
        cursor = parse_cursor(entry["cursor"])
        digest = target.digest()
        told = (cursor.offset, entry["parts"], entry["bytes"], entry["digest"], entry["sealed"])
        if (target.offset, digest.parts, digest.bytes, digest.crc, target.sealed) != told:
            yield f"verified: {self._name} was told that it has {told}; it has {target.offset}, {digest}"
            return
        self._fold, self._staging = target, None
        yield from self._fenced(entry["cursor"])
        self._compare()
        if entry["sealed"]:
            yield from self._end()

    def _end(self) -> Iterator[str]:
        self.ended = True
        if self._doubt is None and self._fold.transcript() != self._journal.fold.transcript():
            yield f"bytes: {self._name} was told that it has all, and has another answer than the journal"


def readers(evidence: Evidence) -> Iterator[str]:
    """Every reader of every request."""
    for (name, key), entries in evidence.readers.items():
        journal = evidence.journal(key)
        if journal is None:
            if any(entry["op"] in ("page", "caught_up") for entry in entries):
                yield f"seen: {name} was shown {key}, which is not there"
            continue
        follower = Follower(f"{name} of {key}", journal)
        for entry in entries:
            yield from follower.take(entry)
        yield from follower.rest()


def refusals(evidence: Evidence) -> Iterator[str]:
    """Nobody is told "not there" of what was acknowledged before they asked."""
    for key, entry in evidence.refused:
        known = evidence.acknowledged.get(key)
        if entry["code"] == "unknown_request" and known is not None and known < entry["since"]:
            yield f"acknowledged: a reader was told that {key} is unknown, at {entry['t']}; it was taken at {known}"


def journals(evidence: Evidence) -> Iterator[str]:
    """Each node shows the same journal, and it is one that can be."""
    for key, found in evidence.journals.items():
        if len(found) > 1:
            ends = ", ".join(f"{'+'.join(one.nodes)}: {len(one.events)} events" for one in found)
            yield f"one journal: {key} differs between nodes ({ends})"
        yield from _sound(key, found[0])


def _sound(key: Key, journal: Journal) -> Iterator[str]:
    if journal.illegal:
        yield f"legal: {key} {journal.illegal}"
    terms = [epoch.term for epoch in journal.chain]
    if terms != sorted(set(terms)):
        yield f"fenced: {key} shows the terms {terms}"


RULES = (readers, refusals, journals)

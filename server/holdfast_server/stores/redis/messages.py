"""What other nodes tell: messages about journals and rows, and whose rows this node wants to hear of.

A message says what one call has changed. If something before it is missing, or it came out of turn, the log is read instead.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import structlog

from holdfast_protocol.codec import decode_events
from holdfast_protocol.errors import IllegalEvent
from holdfast_server.stores.base import Owner, Summary
from holdfast_server.stores.log import Log

from .calls import Calls
from .follow import FOLLOW_MS, Follow
from .keys import ALL, node_channel, owner_prefix, tag_of
from .rows import Fields, fields_in, item_in, same_past, set_chain, summary_in
from .shelf import Shelf

WATCH_TICKS: Final = 3
"""Watches are renewed each third tick."""

log = structlog.get_logger(__name__)


class Told(NamedTuple):
    """A message as it was read; `kind` as in publish.lua."""

    kind: str
    prefix: str
    start: int
    end: int
    events: bytes
    fields: Fields
    item: bytes


def told(data: bytes) -> Told:
    """Read a message. Raises: ValueError, IndexError if it is none."""
    head, _, body = data.partition(b"\n")
    kind, prefix, start, end, *lengths = head.decode().split(" ")
    pieces, at = [], 0
    for length in map(int, lengths):
        pieces.append(body[at : at + length])
        at += length
    item = pieces.pop() if kind == "i" else b""
    return Told(kind, prefix, int(start), int(end), pieces[0], fields_in(pieces[1:]), item)


class Messages:
    """Takes them, and asks for them."""

    def __init__(
        self,
        calls: Calls,
        shelf: Shelf,
        follow: Follow,
        node: str,
        observers: list[Callable[[Summary, bool], None]],
    ) -> None:
        """`observers` are told of rows of watched owners, and whether the request was removed."""
        self._calls = calls
        self._shelf = shelf
        self._follow = follow
        self._node = node
        self._observers = observers
        self._watched: Counter[Owner] = Counter()
        self._prefixes: set[str] = set()
        self._ticks = 0
        self._unwatched: set[str] = set()  # shards of which this node could not ask to be told
        self.missed: Callable[[], None] = lambda: None  # rows may have changed unseen
        follow.ticked = self._ticked

    def take(self, channel: str, data: bytes) -> None:
        """Take a message of the link."""
        try:
            if channel == node_channel(self._node):
                self._take(told(data))
            elif channel == ALL and data.startswith(b"x "):
                _, node, prefix = data.decode().split(" ")
                journal = self._shelf.at(prefix)
                if journal is not None and node != self._node and journal.sealed:
                    self._shelf.remove(journal)  # others are told by their own message, with their end
            self._shelf.tell()
        except (ValueError, KeyError, IndexError, IllegalEvent):
            log.exception("a message of another node cannot be read")

    def _take(self, said: Told) -> None:
        self._follow.missed(said.prefix)
        journal = self._shelf.at(said.prefix)
        if journal is not None:
            if said.kind == "x":
                self._shelf.remove(journal)
            elif said.kind == "p":
                self._shelf.drop(journal)
            elif not self._applied(journal, said):
                self._follow.stale(journal)
        # What is purged is in the history still, and nobody's row of it changes.
        if said.kind not in ("e", "p") and self._prefixes and _owner_in(said.prefix) in self._prefixes:
            self.tell(summary_in(said.prefix, said.fields), said.kind == "x")

    def tell(self, row: Summary, removed: bool) -> None:
        """Tell the observers of rows."""
        for observer in self._observers:
            observer(row, removed)

    def _applied(self, journal: Log, said: Told) -> bool:
        """Whether the log is, with this, what the store held then; if not it has to be read."""
        fields, only_events = said.fields, said.kind == "e"
        if only_events:
            epoch = journal.chain[-1]
            if (int(fields[b"term"]), fields[b"nonce"].decode()) != (epoch.term, epoch.nonce):
                return False
        elif not same_past(journal, fields):
            return False
        if not only_events:
            set_chain(journal, fields)
        if said.end > said.start and said.end > journal.tail:
            if not said.events or said.start != journal.tail:
                return False
            self._shelf.grow(journal, said.start, decode_events(said.events))
        if only_events:
            return int(fields[b"ver"]) <= journal.version
        if int(fields[b"tail"]) > journal.tail or not same_past(journal, fields):
            return False
        if said.kind == "i" and int(fields[b"inb"]) == len(journal.inbox) + 1:
            journal.inbox.append(item_in(said.item))
        return self._shelf.restate(journal, fields)

    # -- watching --------------------------------------------------------------------------------------------

    def watch(self, owner: Owner) -> None:
        """Be told of the rows of this owner, until as many `unwatch`."""
        self._watched[owner] += 1
        if self._watched[owner] == 1:
            self._prefixes.add(owner_prefix(owner))
            self._watch(tag_of(owner), owner_prefix(owner))

    def unwatch(self, owner: Owner) -> None:
        """Not any more."""
        self._watched[owner] -= 1
        if self._watched[owner] <= 0:
            del self._watched[owner]
            self._prefixes.discard(owner_prefix(owner))
            self._calls.tell("unwatch", tag_of(owner), self._node, owner_prefix(owner))

    def _ticked(self, everything: bool) -> None:
        self._ticks += 1
        if not everything and not self._unwatched and self._ticks % WATCH_TICKS:
            return
        by_tag: dict[str, list[str]] = {}
        for owner in self._watched:
            by_tag.setdefault(tag_of(owner), []).append(owner_prefix(owner))
        for tag, owners in by_tag.items():
            self._watch(tag, *owners)

    def _watch(self, tag: str, *owners: str) -> None:
        def answered(asked: asyncio.Future[Any]) -> None:
            if asked.cancelled() or asked.exception() is not None:
                self._unwatched.add(tag)
            elif tag in self._unwatched:
                self._unwatched.discard(tag)
                self.missed()

        self._calls.ask("watch", tag, self._node, FOLLOW_MS, *owners).add_done_callback(answered)


def _owner_in(prefix: str) -> str:
    """O of a K."""
    return prefix.rpartition("/")[0].replace(":j:", ":o:", 1)

"""Bugs in what brings answers to readers: delivery, cursors, digests, and the client."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from holdfast_client.following import Following
from holdfast_client.outbox import Outbox
from holdfast_client.session import Session
from holdfast_protocol.cursor import parse_cursor
from holdfast_protocol.digest import Digest, digest_of
from holdfast_protocol.fold import Fold
from holdfast_server import pages
from holdfast_server.delivery import Delivery
from holdfast_server.doors import commands
from holdfast_server.journal import Place, place
from holdfast_server.stores.log import Log
from holdfast_server.subscription import Subscription, Topic
from tests.simulation.planting import bug, patched

# -- delivery ----------------------------------------------------------------------------------------------------


@bug("verified", "seen", "liveness")
def gap_after_snapshot() -> AbstractContextManager[object]:
    """What was committed while the snapshot was being read is taken for told."""
    pull = Subscription.pull

    def planted(self: Subscription) -> list[bytes]:
        snapshot = self._shot is not None or self._reset is not None
        frames = pull(self)
        if snapshot and self._shot is None and self.cursor < self.topic.log.tail:
            self.cursor = self.topic.log.tail
            frames += self.arrive()
        return frames

    return patch.object(Subscription, "pull", planted)


@bug("verified", "seen")
def range_given_twice() -> AbstractContextManager[object]:
    """What grows is given to who is still reading what was before, and then once more in its turn."""
    share = Topic.share

    def planted(self: Topic, page_bytes: int, touched: Any) -> Any:
        for subscription in self.subscriptions:
            if subscription.queued and self.shown < self.log.tail:
                codec = subscription.lane.connection.codec
                for frame, _ in pages.pages_of(codec, self.log, self.shown, self.log.tail, page_bytes):
                    subscription.lane.put(frame)
        return share(self, page_bytes, touched)

    return patch.object(Topic, "share", planted)


@bug("liveness")
def end_in_replay_ignored() -> AbstractContextManager[object]:
    """Who reads the end from the log, and not as it happens, is not told that it is the end."""
    pull = Subscription.pull

    def planted(self: Subscription) -> list[bytes]:
        frames = pull(self)
        if self.ended and self.topic.log.sealed:
            self.ended = False
            return frames[:-1]
        return frames

    return patch.object(Subscription, "pull", planted)


@bug("liveness", "verified", "seen")
def wake_ups_dropped() -> AbstractContextManager[object]:
    """Every third commit wakes nobody, and nothing looks at cursors later."""
    changed = Delivery._changed
    count = 0

    def planted(self: Delivery, changes: Any) -> None:
        nonlocal count
        count += 1
        if count % 3:
            changed(self, changes)

    def sweep(self: Delivery) -> None:
        self._sweep_handle = asyncio.get_running_loop().call_later(self.limits.sweep_s, self._sweep)

    return patched(patch.object(Delivery, "_changed", planted), patch.object(Delivery, "_sweep", sweep))


@bug("verified")
def digest_of_characters() -> AbstractContextManager[object]:
    """The digest counts what is shown in characters, the other end in bytes."""

    def planted(log: Log) -> Digest:
        covered = [part for part in log.fold().parts if part.kind in ("text", "reasoning", "tool", "input")]
        return digest_of((part.kind, len(part.text + part.result), part.crc) for part in covered)

    return patch.object(pages, "digest", planted)


@bug("verified", "seen")
def slow_reader_skips() -> AbstractContextManager[object]:
    """Who has fallen far behind goes on at the tail."""
    pull = Subscription.pull

    def planted(self: Subscription) -> list[bytes]:
        if self._shot is None and self._reset is None and self.topic.log.tail - self.cursor > 5:
            self.cursor = self.topic.log.tail - 1
        return pull(self)

    return patch.object(Subscription, "pull", planted)


# -- cursors -----------------------------------------------------------------------------------------------------


def _taken_for_good(*reasons: str) -> AbstractContextManager[object]:
    def planted(log: Log, cursor: str | None) -> Place:
        found = place(log, cursor)
        if found.reset in reasons and cursor is not None:
            return Place(min(parse_cursor(cursor).offset, log.tail), None)
        return found

    return patch.object(commands, "place", planted)


@bug("verified", "seen", "liveness")
def ahead_taken_for_caught_up() -> AbstractContextManager[object]:
    """A cursor ahead of the log is clamped to its tail."""
    return _taken_for_good("ahead")


@bug("verified", "seen", "liveness")
def epoch_ignored() -> AbstractContextManager[object]:
    """Only the offset of a cursor counts, whatever log it is from."""
    return _taken_for_good("unknown_epoch")


# -- the client --------------------------------------------------------------------------------------------------


@bug("liveness")
def unanswered_not_sent_again() -> AbstractContextManager[object]:
    """What was sent on a connection that was lost is taken for done."""
    disconnected = Session.disconnected

    def planted(self: Session) -> None:
        disconnected(self)
        self._outbox = Outbox()

    return patch.object(Session, "disconnected", planted)


@bug("seen")
def snapshot_shown_in_pieces() -> AbstractContextManager[object]:
    """A snapshot is shown while it arrives, before it was verified."""

    def planted(self: Following) -> None:
        if self.state == "live":
            self.fold = Fold()

    return patch.object(Following, "snapshot", planted)

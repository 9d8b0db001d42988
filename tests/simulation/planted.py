"""Bugs planted on purpose, each into one place of the real code: the proof that the checker still sees.

Every one of them has been shipped by somebody. A bug names the rules of the checker that may catch it, so that a plant
which merely breaks the run (because the code around it has changed) does not count as found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from holdfast_client.following import Following
from holdfast_client.session import Session
from holdfast_protocol import fold as fold_module
from holdfast_protocol.cursor import parse_cursor
from holdfast_protocol.digest import Digest, digest_of
from holdfast_protocol.events import Event, Started
from holdfast_protocol.fold import Fold
from holdfast_protocol.lifecycle import Status
from holdfast_server import pages
from holdfast_server.delivery import Delivery
from holdfast_server.doors import commands
from holdfast_server.journal import Journal, Place
from holdfast_server.projector import Projector
from holdfast_server.runner import Runner
from holdfast_server.stores.base import JournalSealed, Key, StoreError, Unavailable
from holdfast_server.stores.commits import CommitQueue
from holdfast_server.stores.embedded import EmbeddedStore
from holdfast_server.stores.log import Log
from holdfast_server.stores.stage import Stage
from holdfast_server.subscription import Subscription, Topic


class Planted(NamedTuple):
    """A bug. `rules`: what may catch it."""

    name: str
    rules: frozenset[str]
    plant: Callable[[], AbstractContextManager[object]]


BUGS: Final[dict[str, Planted]] = {}


def _bug(*rules: str) -> Callable[[Callable[[], AbstractContextManager[object]]], None]:
    """Register a plant under its function's name."""

    def register(plant: Callable[[], AbstractContextManager[object]]) -> None:
        BUGS[plant.__name__] = Planted(plant.__name__, frozenset(rules), plant)

    return register


@contextmanager
def _patched(*patches: AbstractContextManager[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for each in patches:
            stack.enter_context(each)
        yield


# -- delivery ----------------------------------------------------------------------------------------------------


@_bug("verified", "seen", "liveness")
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


@_bug("verified", "seen")
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


@_bug("liveness")
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


@_bug("liveness", "verified", "seen")
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

    return _patched(patch.object(Delivery, "_changed", planted), patch.object(Delivery, "_sweep", sweep))


@_bug("verified")
def digest_of_characters() -> AbstractContextManager[object]:
    """The digest counts what is shown in characters, the other end in bytes."""

    def planted(log: Log) -> Digest:
        covered = [part for part in log.fold().parts if part.kind in ("text", "reasoning", "tool", "input")]
        return digest_of((part.kind, len(part.text + part.result), part.crc) for part in covered)

    return patch.object(pages, "digest", planted)


@_bug("verified", "seen")
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
    place = commands.place

    def planted(log: Log, cursor: str | None) -> Place:
        found = place(log, cursor)
        if found.reset in reasons and cursor is not None:
            return Place(min(parse_cursor(cursor).offset, log.tail), None)
        return found

    return patch.object(commands, "place", planted)


@_bug("verified", "seen", "liveness")
def ahead_taken_for_caught_up() -> AbstractContextManager[object]:
    """A cursor ahead of the log is clamped to its tail."""
    return _taken_for_good("ahead")


@_bug("verified", "seen", "liveness")
def epoch_ignored() -> AbstractContextManager[object]:
    """Only the offset of a cursor counts, whatever log it is from."""
    return _taken_for_good("unknown_epoch")


# -- the store ---------------------------------------------------------------------------------------------------


@_bug("seen", "verified", "acknowledged")
def published_before_commit() -> AbstractContextManager[object]:
    """Readers are shown what the disk does not hold yet."""

    async def planted(self: CommitQueue) -> None:
        stage: Any = self._stage()
        writers = self._append(stage) if self._pause is None else []
        results = self._judge(stage)
        if not stage.empty:
            batch = stage.batch()
            changes = stage.apply()
            self._settled(changes)
            stage.apply = list
            while True:
                try:
                    await self._disk.commit(batch)
                    break
                except StoreError:
                    await asyncio.sleep(0.05)
        self._succeeded(stage, writers, results)

    return patch.object(CommitQueue, "_commit", planted)


@_bug("acknowledged", "seen", "cancel", "decide", "stored", "verified")
def acknowledged_before_commit() -> AbstractContextManager[object]:
    """The disk is written after the reply, and nobody looks whether it was."""

    async def planted(self: CommitQueue) -> None:
        stage = self._stage()
        writers = self._append(stage) if self._pause is None else []
        results = self._judge(stage)
        batch = None if stage.empty else stage.batch()
        self._succeeded(stage, writers, results)
        while batch is not None:
            try:
                await self._disk.commit(batch)
                break
            except StoreError:
                await asyncio.sleep(0.05)

    return patch.object(CommitQueue, "_commit", planted)


@_bug("text", "stored", "upstream says so")
def pending_lost_when_disk_fails() -> AbstractContextManager[object]:
    """What writers had in a commit that failed is not written again."""
    failed = CommitQueue._failed

    def planted(self: CommitQueue, stage: Any, writers: Any, results: Any, error: StoreError) -> None:
        for writer in writers:
            if not any(isinstance(event, Started) for event in writer._taken):
                writer.committed()
        failed(self, stage, writers, results, error)

    return patch.object(CommitQueue, "_failed", planted)


@_bug("liveness", "upstream once")
def duplicate_runs_again() -> AbstractContextManager[object]:
    """A submit that was repeated is found by its id, and run once more all the same."""
    open_ = Stage.open

    def planted(self: Stage, record: Any, accepted: Any) -> Any:
        log, created = open_(self, record, accepted)
        draft = self.find(record.key)
        if not created and draft is not None and draft.lease:
            draft.lease, draft.row = False, True
            self._journals.ready.hint(log.number)
        return log, created

    async def nothing(*_: Any) -> None:
        return None

    from holdfast_server.requests import Requests

    return _patched(patch.object(Stage, "open", planted), patch.object(Requests, "_find_same", nothing))


@_bug("liveness")
def forgotten_at_start() -> AbstractContextManager[object]:
    """What a crash left is read, shown, and never claimed."""
    start = EmbeddedStore.start

    async def planted(self: EmbeddedStore) -> None:
        await start(self)
        while self._journals.ready.pop() is not None:
            pass

    return patch.object(EmbeddedStore, "start", planted)


@_bug("fenced", "text", "verified", "legal log", "one outcome, last")
def zombie_not_fenced() -> AbstractContextManager[object]:
    """Whoever once had a lease may write for ever."""
    mine = Stage._mine

    def planted(self: Stage, log: Log, term: int) -> Any:
        draft = self.find(log.key)
        return mine(self, log, term) if draft is None or draft.log is not log or draft.sealed else draft

    return patch.object(Stage, "_mine", planted)


@_bug("one outcome, last", "verified", "seen", "stored", "legal log")
def append_after_seal() -> AbstractContextManager[object]:
    """What a writer had when somebody ended its request is written behind the end."""
    append, extend = Stage.append, Log.extend

    def planted_append(self: Stage, log: Log, term: int, events: Sequence[Event]) -> None:
        draft = self.find(log.key)
        if draft is not None and draft.sealed and draft.term == term:
            draft.events.extend(events)
        else:
            append(self, log, term, events)

    def planted_extend(self: Log, events: Sequence[Event]) -> None:
        if self.sealed:
            self.events.extend(events)
        else:
            extend(self, events)

    return _patched(
        patch.object(Stage, "append", planted_append), patch.object(Log, "extend", planted_extend)
    )


@_bug("liveness")
def decision_lost_at_park() -> AbstractContextManager[object]:
    """What came between the agent's last look at its inbox and its park is not seen."""
    park = Stage.park

    def planted(self: Stage, claim: Any, inbox_seen: int, waiting: Any) -> None:
        draft = self.find(claim.log.key)
        park(self, claim, inbox_seen if draft is None else len(draft.all_inbox()), waiting)

    return patch.object(Stage, "park", planted)


@_bug("stored", "read", "seen", "text")
def restored_without_inbox() -> AbstractContextManager[object]:
    """A restart forgets what came in for a request."""
    start = EmbeddedStore.start

    async def planted(self: EmbeddedStore) -> None:
        await start(self)
        for log in self._journals.by_number.values():
            log.inbox.clear()

    return patch.object(EmbeddedStore, "start", planted)


# -- the journal, the runner, the history ------------------------------------------------------------------------


@_bug("cancel")
def cancel_checks_then_acts() -> AbstractContextManager[object]:
    """Cancel looks whether the request runs, then ends it, and says that it has."""

    async def planted(self: Journal, key: Key, code: str = "user", message: str = "") -> tuple[bool, Status]:
        log = await self._store.log(key)
        if log.sealed:
            return False, log.status
        try:
            await cancel(self, key)
        except JournalSealed:
            pass
        return True, "cancelled"

    cancel = Journal.cancel
    return patch.object(Journal, "cancel", planted)


@_bug("left over", "liveness")
def slot_leaks_on_cancel() -> AbstractContextManager[object]:
    """The slot of a request that somebody stopped is not given back."""
    free = Runner._free

    def planted(self: Runner, task: Any) -> None:
        if self._runs[task].claim.log.status != "cancelled":
            free(self, task)

    return patch.object(Runner, "_free", planted)


@_bug("cancel")
def stop_does_not_reach_upstream() -> AbstractContextManager[object]:
    """The request has ended for everybody but the upstream call."""

    async def planted(self: Log) -> None:
        await asyncio.get_running_loop().create_future()

    return patch.object(Log, "wait_sealed", planted)


@_bug("text")
def supersede_keeps_text() -> AbstractContextManager[object]:
    """A new attempt's text is shown behind the one it replaces."""

    def planted(self: Fold, event: Started) -> None:
        self.started = event

    return patch.dict(fold_module._STEPS, {Started: planted})


@_bug("history")
def projected_before_written() -> AbstractContextManager[object]:
    """A journal is marked as being in the history before the history holds it."""
    project = Projector._project

    async def planted(self: Projector, key: Key) -> bool:
        try:
            return await project(self, key)
        except Unavailable:
            log = self._store.live(key)
            return log is not None and log.sealed

    return patch.object(Projector, "_project", planted)


# -- the client --------------------------------------------------------------------------------------------------


@_bug("liveness")
def unanswered_not_sent_again() -> AbstractContextManager[object]:
    """What was sent on a connection that was lost is taken for done."""
    disconnected = Session.disconnected

    def planted(self: Session) -> None:
        disconnected(self)
        self._outbox.clear()

    return patch.object(Session, "disconnected", planted)


@_bug("seen")
def snapshot_shown_in_pieces() -> AbstractContextManager[object]:
    """A snapshot is shown while it arrives, before it was verified."""

    def planted(self: Following) -> None:
        if self.state == "live":
            self.fold = Fold()

    return patch.object(Following, "snapshot", planted)

"""Bugs in what keeps journals: commits, the state machine, the start."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from holdfast_protocol.events import Event, Started
from holdfast_server.requests import Requests
from holdfast_server.stores.base import Key, StoreError
from holdfast_server.stores.commits import CommitQueue
from holdfast_server.stores.disk import Entry, encode_segment
from holdfast_server.stores.drafts import Drafts
from holdfast_server.stores.embedded import EmbeddedStore
from holdfast_server.stores.log import Log
from holdfast_server.stores.stage import Stage
from tests.simulation import disk
from tests.simulation.planting import bug, patched


@bug("seen", "verified", "acknowledged")
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


@bug("acknowledged", "seen", "cancel", "decide", "stored", "verified")
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


@bug("text", "stored", "upstream says so")
def pending_lost_when_disk_fails() -> AbstractContextManager[object]:
    """What writers had in a commit that failed is not written again."""
    failed = CommitQueue._failed

    def planted(self: CommitQueue, stage: Any, writers: Any, results: Any, error: StoreError) -> None:
        for writer in writers:
            if not any(isinstance(event, Started) for event in writer._taken):
                writer.committed()
        failed(self, stage, writers, results, error)

    return patch.object(CommitQueue, "_failed", planted)


@bug("liveness", "upstream once")
def duplicate_runs_again() -> AbstractContextManager[object]:
    """A submit that was repeated is found by its id, and run once more all the same."""
    open_ = Stage.open

    def planted(self: Stage, record: Any, accepted: Any) -> Any:
        log, created = open_(self, record, accepted)
        draft = self.find(record.key)
        if not created and draft is not None and draft.lease:
            self._lease(draft, held=False)
            draft.row = True
            self._journals.ready.hint(log)
        return log, created

    async def nothing(*_: Any) -> None:
        return None

    return patched(patch.object(Stage, "open", planted), patch.object(Requests, "_find_same", nothing))


@bug("liveness")
def forgotten_at_start() -> AbstractContextManager[object]:
    """What a crash left is read, shown, and never claimed."""
    start = EmbeddedStore.start

    async def planted(self: EmbeddedStore) -> None:
        await start(self)
        ready = self._journals.ready
        while (number := ready.first()) is not None:
            ready.drop(number)

    return patch.object(EmbeddedStore, "start", planted)


@bug("fenced", "text", "verified", "legal log", "one outcome, last")
def zombie_not_fenced() -> AbstractContextManager[object]:
    """Whoever once had a lease may write for ever."""
    mine = Drafts.mine

    def planted(self: Drafts, log: Log, term: int) -> Any:
        draft = self.find(log.key)
        return mine(self, log, term) if draft is None or draft.log is not log or draft.sealed else draft

    return patch.object(Drafts, "mine", planted)


@bug("one outcome, last", "verified", "seen", "stored", "legal log")
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

    return patched(patch.object(Stage, "append", planted_append), patch.object(Log, "extend", planted_extend))


@bug("liveness")
def decision_lost_at_park() -> AbstractContextManager[object]:
    """What came between the agent's last look at its inbox and its park is not seen."""
    park = Stage.park

    def planted(self: Stage, claim: Any, inbox_seen: int, waiting: Any) -> None:
        draft = self.find(claim.log.key)
        park(self, claim, inbox_seen if draft is None else len(draft.all_inbox()), waiting)

    return patch.object(Stage, "park", planted)


@bug("stored", "read", "seen", "text")
def restored_without_inbox() -> AbstractContextManager[object]:
    """A restart forgets what came in for a request."""
    start = EmbeddedStore.start

    async def planted(self: EmbeddedStore) -> None:
        await start(self)
        for log in self._journals.by_number.values():
            log.inbox.clear()

    return patch.object(EmbeddedStore, "start", planted)


@bug("stored")
def erased_comes_back() -> AbstractContextManager[object]:
    """What was erased leaves its row, and is found again in older segments by the next start."""

    def planted(entries: Sequence[Entry], removed: Sequence[Key] = ()) -> bytes:
        return encode_segment(entries)

    return patch.object(disk, "encode_segment", planted)

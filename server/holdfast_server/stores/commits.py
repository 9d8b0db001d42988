"""The commit queue: what has something to write waits here, and goes to the disk together.

The commit in flight is the window: while one runs, operations and dirty writers collect. If none runs, the first that
comes starts one at the end of the loop's turn, so that the turn's other writes go along. Each operation is judged alone
(stage.py), and what it returns is durable and readable.

When the loop runs out of time, output gathers a little longer (pacing.py), so that several deltas of one answer share a
commit, a page and a write. Operations do not wait for that, and end it.

If the disk refuses, every operation of the batch fails and nothing is applied, but no writer fails: they keep what they
have, within their bound, and it is tried again with growing pauses. Operations that come meanwhile are tried at once,
without the writers: whoever asks is told the truth, and one that succeeds ends the pause.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

import structlog

from holdfast_protocol.errors import IllegalEvent
from holdfast_server.tasks import Tasks

from .base import Change, StorageFull, StoreError, Unavailable
from .disk import Disk
from .stage import Stage
from .writer import Writer

R = TypeVar("R")

OPERATIONS_WAITING_MAX: Final = 20_000
"""Calls that wait for a commit; beyond it the disk has stood still for so long that more would only wait as well."""

BATCH_OPERATIONS_MAX: Final = 2_000
"""Operations in one commit, so that one commit stays well below the time in which people notice."""

BATCH_BYTES_MAX: Final = 8 * 1024 * 1024
"""Bytes of writers in one commit, for the same reason; who is left goes first in the next."""

RETRY_FIRST_S: Final = 0.05
RETRY_MAX_S: Final = 2.0
"""Pauses while the disk refuses what writers have: doubling, and short enough that people see it go on by itself."""

TROUBLE_S: Final = 10.0
"""How long a refusal counts if nothing was tried since: whoever sends no work because of it would never see it end."""

log = structlog.get_logger(__name__)


class _Operation(Generic[R]):
    """One call that waits."""

    __slots__ = ("frees", "future", "orphaned", "work")

    def __init__(
        self,
        work: Callable[[Stage], R],
        future: asyncio.Future[R],
        frees: bool,
        orphaned: Callable[[R], None] | None,
    ) -> None:
        self.work = work
        self.future = future
        self.frees = frees
        self.orphaned = orphaned


class _Judged(NamedTuple):
    """What the stage said. It is told when the stage is durable: an answer may rest on what a neighbour has done."""

    operation: _Operation[Any]
    result: Any
    error: Exception | None


class CommitQueue:
    """Forms batches, hands them to the disk one at a time, and settles who waited."""

    def __init__(
        self,
        disk: Disk,
        stage: Callable[[], Stage],
        settled: Callable[[Sequence[Change]], None],
        pace: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`stage` begins an empty one; `settled` is called in the loop after each commit, done or refused; `pace` tells
        how long output may gather, in seconds."""
        self._disk = disk
        self._stage = stage
        self._settled = settled
        self._tasks = Tasks("commits")
        self._operations: deque[_Operation[Any]] = deque()
        self._dirty: deque[Writer] = deque()
        self._running = False
        self._pause_s = 0.0
        self._pause: asyncio.TimerHandle | None = None
        self._full = False
        self._refusal: tuple[float, str] | None = None
        self._closing = False
        self._idle: list[asyncio.Future[None]] = []
        self._pace = pace
        self._formed_at = 0.0
        self._gathering: asyncio.Future[None] | None = None

    @property
    def trouble(self) -> str | None:
        """Why the disk refused the last commit; None if it took it, or if that was so long ago that it should be tried."""
        if self._refusal is None or asyncio.get_running_loop().time() > self._refusal[0] + TROUBLE_S:
            return None
        return self._refusal[1]

    # -- coming in -------------------------------------------------------------------------------------------

    async def do(
        self, work: Callable[[Stage], R], *, frees: bool = False, orphaned: Callable[[R], None] | None = None
    ) -> R:
        """Have `work` judged in the next commit; return its result when that is durable. If the caller is gone by then,
        `orphaned` gets the result. Raises: what `work` raises, Unavailable, StorageFull."""
        if self._closing:
            raise Unavailable("The store is closed.")
        if len(self._operations) >= OPERATIONS_WAITING_MAX:
            raise Unavailable("Too much waits for the disk; try again later.")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._operations.append(_Operation(work, future, frees, orphaned))
        self._start()
        return await future

    def later(self, work: Callable[[Stage], object]) -> None:
        """As `do`, where nobody waits: what goes wrong is the stage's to say, and of no use to anybody."""
        if not self._closing:
            future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._operations.append(_Operation(work, future, False, None))
            self._start()

    def dirty(self, writer: Writer) -> None:
        """The writer has something; it is asked for it when the next commit is formed."""
        if self._closing:
            writer.fail(Unavailable("The store is closed."))
            return
        writer.queued = True
        self._dirty.append(writer)
        if self._pause is None:
            self._start()

    def _start(self) -> None:
        if self._operations or self._closing:
            self._hurry()
        if not self._running:
            asyncio.get_running_loop().call_soon(lambda: self._tasks.start(self._run(), "commit"))
            self._running = True

    async def close(self) -> None:
        """Commit what was handed in, if the disk takes it; then refuse."""
        self._closing = True
        self._hurry()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
            self._start()
        if self._running:
            idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await idle
        await self._tasks.close()

    # -- the loop --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while self._operations or (self._dirty and self._pause is None):
                await self._gather()
                await self._commit()
        finally:
            self._running = False
            if self._closing:
                while self._operations:
                    _refuse(self._operations.popleft(), Unavailable("The store is closed."))
            idle, self._idle = self._idle, []
            for waiter in idle:
                if not waiter.done():
                    waiter.set_result(None)

    async def _gather(self) -> None:
        """Let output come together before the next commit; what somebody waits for does not wait, and ends it."""
        loop = asyncio.get_running_loop()
        not_before = self._formed_at + self._pace()
        if not self._operations and not self._closing and loop.time() < not_before:
            self._gathering = loop.create_future()
            handle = loop.call_at(not_before, self._hurry)
            try:
                await self._gathering
            finally:
                handle.cancel()
                self._gathering = None
        self._formed_at = loop.time()

    def _hurry(self) -> None:
        if self._gathering is not None and not self._gathering.done():
            self._gathering.set_result(None)

    async def _commit(self) -> None:
        stage = self._stage()
        writers = self._append(stage) if self._pause is None else []
        results = self._judge(stage)
        if stage.empty:
            self._succeeded(stage, writers, results)
            return
        try:
            await self._disk.commit(stage.batch())
        except StoreError as error:
            self._failed(stage, writers, results, error)
        except asyncio.CancelledError:
            self._failed(stage, writers, results, Unavailable("The store was closed while it wrote."))
            raise
        except Exception:  # a bug below must not end the only loop that writes
            log.exception("commit failed")
            self._failed(stage, writers, results, Unavailable("The store could not write; its log says why."))
        else:
            self._succeeded(stage, writers, results)

    def _append(self, stage: Stage) -> list[Writer]:
        """Take from the dirty writers, oldest first."""
        writers: list[Writer] = []
        size = 0
        while self._dirty and size < BATCH_BYTES_MAX and not (self._full and self._frees()):
            writer = self._dirty.popleft()
            writer.queued = False
            if not writer.alive or not writer.unsettled:
                continue
            size += writer.waiting_bytes
            try:
                stage.append(writer.log, writer.term, writer.take())
            except StoreError as error:
                writer.fail(error)
            except Exception:  # IllegalEvent, or a bug of ours
                # Not as Unavailable, on which a run waits for the next start: it must end the request by other means.
                log.exception("a writer is out of step with its journal", writer=repr(writer))
                writer.fail(IllegalEvent("What was put does not fit the journal; the server's log says why."))
            else:
                writers.append(writer)
        return writers

    def _frees(self) -> bool:
        return any(operation.frees for operation in self._operations)

    def _judge(self, stage: Stage) -> list[_Judged]:
        """Let the operations do their work on the stage, in order."""
        results: list[_Judged] = []
        kept: list[_Operation[Any]] = []
        only_frees = stage.frees = self._full and self._frees()
        for _ in range(min(len(self._operations), BATCH_OPERATIONS_MAX)):
            operation = self._operations.popleft()
            if operation.future.done():  # its caller has gone before its turn came
                continue
            if only_frees and not operation.frees:
                kept.append(operation)
                continue
            try:
                result = operation.work(stage)
            except Exception as error:  # noqa: BLE001  it belongs to the caller
                results.append(_Judged(operation, None, error))
            else:
                results.append(_Judged(operation, result, None))
        self._operations.extendleft(reversed(kept))
        return results

    def _succeeded(self, stage: Stage, writers: list[Writer], results: list[_Judged]) -> None:
        changes = stage.apply()
        for writer in writers:
            writer.committed()
        for operation, result, error in results:
            if error is not None:
                if not operation.future.done():
                    operation.future.set_exception(error)
            elif not operation.future.done():
                operation.future.set_result(result)
            elif operation.orphaned is not None:
                operation.orphaned(result)
        if changes or not stage.empty:
            self._full = False
            self._refusal = None
            self._pause_s = 0.0
            if self._pause is not None:
                self._pause.cancel()
                self._pause = None
        self._settled(changes)

    def _failed(self, stage: Stage, writers: list[Writer], results: list[_Judged], error: StoreError) -> None:
        stage.abandon()
        self._full = isinstance(error, StorageFull)
        self._refusal = (asyncio.get_running_loop().time(), str(error))
        again: list[_Operation[Any]] = []
        for judged in results:
            if self._full and judged.operation.frees and not stage.frees:
                again.append(judged.operation)  # alone it may use the reserve
            else:
                _refuse(judged.operation, error)
        self._operations.extendleft(reversed(again))
        for writer in reversed(writers):
            if self._closing:
                writer.fail(error)
            elif not writer.queued:
                writer.queued = True
                self._dirty.appendleft(writer)
        if self._closing:
            while self._dirty:
                self._dirty.popleft().fail(error)
        elif self._dirty and self._pause is None:
            self._pause_s = min(RETRY_MAX_S, self._pause_s * 2 or RETRY_FIRST_S)
            self._pause = asyncio.get_running_loop().call_later(self._pause_s, self._resume)
        self._settled(())

    def _resume(self) -> None:
        self._pause = None
        if self._dirty:
            self._start()


def _refuse(operation: _Operation[Any], error: StoreError) -> None:
    """A fresh error for each: one that is raised by many collects all their stacks."""
    if not operation.future.done():
        operation.future.set_exception(type(error)(*error.args))

"""Calls of functions in Redis, gathered: whatever one turn of the loop asks for goes in one pipeline.

A caller that is cancelled leaves its call where it is: it is done or not, but nothing on the connection is torn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import structlog

from holdfast_server.stores.base import StorageFull, StoreError, Unavailable
from holdfast_server.tasks import Tasks

from .link import Call, Link

WAITING_MAX: Final = 20_000
"""Calls that wait for a pipeline; beyond it Redis has stood still for so long that more would only wait as well."""

PIPELINE_CALLS_MAX: Final = 500
"""Calls in one pipeline: a few milliseconds of Redis, so that nobody waits long behind it."""

PIPELINES_MAX: Final = 4
"""Under way at a time. One would let a call that takes long hold up all others; more only divide what could be gathered."""

TRIES_MAX: Final = 3
"""Of a call whose outcome is not known; after that whoever asked is told."""

AGAIN_S: Final = 0.2
"""Before the next try: a failover takes seconds, a lost connection none."""

AGAIN: Final = "\0again"
"""Stands among the arguments for whether the call may have been done already."""

log = structlog.get_logger(__name__)


class Calls:
    """What is asked of Redis beside the appends."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._tasks = Tasks("redis-calls")
        self._waiting: deque[tuple[Call, asyncio.Future[Any]]] = deque()
        self._under_way = 0
        self._scheduled = False
        self._closed = False

    async def close(self) -> None:
        """Refuse what is new, let what is under way end."""
        self._closed = True
        while self._waiting:
            _refuse(self._waiting.popleft()[1], Unavailable("The store is closed."))
        await self._tasks.close()

    def ask(self, function: str, tag: str, *args: bytes | str | int) -> asyncio.Future[Any]:
        """Hand in a call; the future has its answer, or Unavailable, StorageFull."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._closed or len(self._waiting) >= WAITING_MAX:
            why = "The store is closed." if self._closed else "Too much waits for Redis; try again later."
            future.set_exception(Unavailable(why))
            return future
        self._waiting.append((Call(function, tag, args), future))
        if not self._scheduled and self._under_way < PIPELINES_MAX:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._begin)
        return future

    def server_of(self, tag: str) -> object:
        """Whose server calls of this tag go to now; None while there is none."""
        return self._link.server_of(tag)

    def tell(self, function: str, tag: str, *args: bytes | str | int) -> None:
        """As `ask` where nobody waits: what goes wrong is of no use to anybody."""
        self.ask(function, tag, *args).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def sure(self, function: str, tag: str, *args: bytes | str | int) -> Any:
        """A call that is the same when it is done twice: asked again while its outcome is not known. AGAIN among the
        arguments becomes '1' from the second time on. Raises: Unavailable, StorageFull."""
        for tries in range(1, TRIES_MAX + 1):
            again = "0" if tries == 1 else "1"
            try:
                return await self.ask(function, tag, *(again if arg is AGAIN else arg for arg in args))
            except StorageFull:
                raise
            except Unavailable:
                if tries == TRIES_MAX or self._closed:
                    raise
                await asyncio.sleep(AGAIN_S * tries)
        raise AssertionError

    async def many(self, calls: Sequence[Call]) -> list[Any | StoreError]:
        """All of these in one pipeline of their own, at once; errors in their places."""
        if not calls:
            return []
        try:
            return await self._link.call_many(calls)
        except StoreError as error:
            return [error] * len(calls)

    def _begin(self) -> None:
        self._scheduled = False
        if self._waiting and self._under_way < PIPELINES_MAX:
            self._under_way += 1
            self._tasks.start(self._run(), "pipeline")

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), PIPELINE_CALLS_MAX))]
                batch = [item for item in batch if not item[1].done()]
                try:
                    answers = await self.many([call for call, _ in batch])
                except BaseException:
                    for _, future in batch:
                        _refuse(future, Unavailable("The call to Redis failed; the log says why."))
                    raise
                for (_, future), answer in zip(batch, answers, strict=True):
                    if isinstance(answer, StoreError):
                        _refuse(future, answer)
                    elif not future.done():
                        future.set_result(answer)
        finally:
            self._under_way -= 1


def _refuse(future: asyncio.Future[Any], error: StoreError) -> None:
    """A fresh error for each: one that is raised by many collects all their stacks."""
    if not future.done():
        future.set_exception(type(error)(*error.args))

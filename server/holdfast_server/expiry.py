"""Ends requests that nobody claimed in time: the one clock of a request that nobody runs.

It has no timer of its own, since many may queue and for long: the store's changes are watched, what has an end goes into
a heap, and one task looks at its top. What it finds is checked against the log as it is then, so an entry that is out of
date costs a look. Whoever was faster (a claim, a cancel) has won, as the store says. (A wait for a person that has an end
needs nothing here: the store makes it claimable then.)

Where several nodes share a store each tells the others nothing of what it opens: so there all that queues is read again now
and then, a bounded part at a time, and before an end is noted the store itself is asked.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

from holdfast_protocol import events as ev

from .agents.base import Agent
from .deadlines import lowered, sentence
from .outages import Outage
from .stores.base import Change, JournalSealed, Key, Store, UnknownRequest
from .stores.log import Log

log = structlog.get_logger(__name__)

LOOK_S: Final = 1.0
"""The longest that an end is noticed late; the wall clock may jump, so a look is never further away."""

AGAIN_MS: Final = 5000
"""After an end that could not be noted."""

PAGE: Final = 200
"""Requests read at once."""

SWEEP_S: Final = 5.0
"""How often what other nodes opened is read, where there are others."""

SWEEP_PAGES_MAX: Final = 25
"""Pages read in one sweep; the next one goes on behind them."""


class Expiry:
    """Ends requests that were not claimed in time. `run` is its life."""

    def __init__(
        self, store: Store, agents: Mapping[str, Agent], now_ms: Callable[[], int], *, shared: bool = False
    ) -> None:
        """`shared`: other nodes open requests in the store too."""
        self._shared = shared
        self._looked: set[Key] = set()  # at these, in this round of sweeps or the last one
        self._round: set[Key] = set()
        self._mark: str | None = None
        self._store = store
        self._agents = agents
        self._now_ms = now_ms
        self._heap: list[tuple[int, Key]] = []
        self._any = asyncio.Event()
        self._unread = Outage(log, "cannot read what waits", "what waits can be read again")
        self._unnoted = Outage(log, "an end could not be noted", "ends are noted again")
        self._failing: set[Key] = set()  # of what is watched
        store.observe(self._changed)

    async def run(self) -> None:
        """Look at what is there, then at what comes due, until cancelled."""
        await self._read()
        sweep_at = asyncio.get_running_loop().time() + SWEEP_S
        while True:
            if self._shared and asyncio.get_running_loop().time() >= sweep_at:
                await self._sweep()
                sweep_at = asyncio.get_running_loop().time() + SWEEP_S
            if not self._heap:
                self._any.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(sweep_at if self._shared else None):
                        await self._any.wait()
                if not self._heap:
                    continue
            wait_s = (self._heap[0][0] - self._now_ms()) / 1000
            if wait_s > 0:
                await asyncio.sleep(min(wait_s, LOOK_S))
                continue
            _, key = heapq.heappop(self._heap)
            try:
                with suppress(JournalSealed, UnknownRequest):  # somebody was faster
                    await self._look(key)
            except Exception as error:  # noqa: BLE001 - whatever the store has, this end and all others must still be noted
                self._failing.add(key)
                self._unnoted.failed(error, request_id=key.request_id)
                heapq.heappush(self._heap, (self._now_ms() + AGAIN_MS, key))
            else:
                self._failing.discard(key)
                if not self._failing:
                    self._unnoted.over()

    async def _sweep(self) -> None:
        """What other nodes opened, a part of it."""
        try:
            for _ in range(SWEEP_PAGES_MAX):
                page, self._mark = await self._store.summaries(
                    None, active=True, chat_id=None, limit=PAGE, before=self._mark
                )
                for row in page:
                    if row.status != "queued" or row.agent not in self._agents:
                        continue
                    self._round.add(row.key)
                    if row.key not in self._looked:
                        with suppress(UnknownRequest):
                            self._watch(await self._store.log(row.key))
                        self._looked.add(row.key)
                if self._mark is None:
                    self._looked, self._round = self._round, set()
                    break
        except Exception as error:  # noqa: BLE001 - as in `run`
            self._unread.failed(error)
        else:
            self._unread.over()

    async def _read(self) -> None:
        """What was there before us; all later changes are told, or found by sweeps."""
        if self._shared:
            await self._sweep()
            return
        before: str | None = None
        while True:
            try:
                page, following = await self._store.summaries(
                    None, active=True, chat_id=None, limit=PAGE, before=before
                )
                for row in page:
                    if row.status == "queued":
                        with suppress(UnknownRequest):
                            self._watch(await self._store.log(row.key))
            except Exception as error:  # noqa: BLE001 - as above
                self._unread.failed(error)
                await asyncio.sleep(AGAIN_MS / 1000)
                continue
            self._unread.over()
            if following is None:
                return
            before = following

    def _changed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.state:
                self._watch(change.log)

    def _end_of(self, log_: Log) -> int | None:
        """When this request's queueing ends, if it does."""
        if log_.status != "queued" or log_.lease:
            return None
        agent = self._agents.get(log_.record.agent)
        if agent is None:
            return None
        queue_s = lowered(agent.profile.clocks, log_.record.deadlines).queue_s
        return None if queue_s is None else log_.record.created_at + round(queue_s * 1000)

    def _watch(self, log_: Log) -> None:
        end = self._end_of(log_)
        if end is not None:
            heapq.heappush(self._heap, (end, log_.key))
            self._any.set()

    async def _look(self, key: Key) -> None:
        log_ = self._store.live(key)
        if self._shared:
            if (await self._store.head(key)).status != "queued":
                return  # claimed elsewhere, and not told here yet
            log_ = await self._store.log(key)
        end = None if log_ is None else self._end_of(log_)
        if log_ is None or end is None:
            return
        now = self._now_ms()
        if end > now:
            heapq.heappush(self._heap, (end, key))
            return
        message = sentence("queue", (end - log_.record.created_at) / 1000)
        await self._store.seal(key, ev.TimedOut(at=now, code="queue", message=message, retryable=True))

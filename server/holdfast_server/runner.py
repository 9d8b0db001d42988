"""Takes what may be claimed, and runs it: the other end of the journal.

An unsealed journal without a live lease is the to-do list; there is no queue beside it. A slot is a bound on what runs at
once. It is taken before the claim and given back when the run's task is done, by the task's own callback: that is the one
place which every way out passes exactly once, also that of a task cancelled before its first step (I10).

To drain is to claim nothing more, to let runs end within the grace, and to hand the rest over: what was written stands,
and the next start or another node goes on, without a strike against the request.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from .agents.base import Agent
from .expiry import Expiry
from .outages import Outage
from .run import Run
from .standing import ANSWER_BYTES_MAX
from .stores.base import Claim, Store
from .tasks import Tasks
from .terms import History, Terms

log = structlog.get_logger(__name__)

CANCEL_GRACE_S: Final = 10.0
"""How long an agent may take to close what it has open."""

ABANDONED_S: Final = 1.0
"""What is left after a drain is waited for so long: an agent that did not close within its grace will not do so now."""

CLAIMS_AT_ONCE_MAX: Final = 32
"""Claims in flight when there is much to do: they share a commit."""

RETRY_S: Final = 1.0
"""After a claim that failed; a store that is gone is asked once a second."""

NONE_FOUND_S: Final = 0.02
"""After a claim that found nothing though there seemed to be something: somebody else was faster."""


class Runner:
    """Runs what is in the store, at most `slots` at once. `history` gives an agent the messages up to and with the one
    that is asked. `narrate` writes a progress step when an agent begins. `shared`: other nodes use the store too."""

    def __init__(
        self,
        store: Store,
        agents: Mapping[str, Agent],
        history: History,
        *,
        slots: int,
        now_ms: Callable[[], int],
        tasks: Tasks | None = None,
        cancel_grace_s: float = CANCEL_GRACE_S,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
        narrate: bool = False,
        shared: bool = False,
        dice: Callable[[], float] = random.random,
    ) -> None:
        assert slots > 0
        self.slots = slots
        self._shared = shared
        self._store = store
        self._tasks = tasks if tasks is not None else Tasks("runner")
        self._terms = Terms(
            store=store, agents=agents, history=history, now_ms=now_ms, tasks=self._tasks, dice=dice,
            cancel_grace_s=cancel_grace_s, answer_bytes_max=answer_bytes_max, narrate=narrate,
        )  # fmt: skip
        self._runs: dict[asyncio.Task[None], Run] = {}
        self._claiming = 0
        self._draining = False
        self._freed = asyncio.Event()
        self._server: asyncio.Task[None] | None = None
        self._outage = Outage(log, "cannot claim", "can claim again")

    def __repr__(self) -> str:
        return f"Runner({self.running} of {self.slots})"

    @property
    def running(self) -> int:
        """Slots in use."""
        return len(self._runs)

    async def start(self) -> None:
        """Begin to claim; what a crash left comes first, as the store orders it."""
        expiry = Expiry(self._store, self._terms.agents, self._terms.now_ms, shared=self._shared)
        self._tasks.start(expiry.run(), "expiry")
        self._server = self._tasks.start(self._serve(), "claims")

    async def drain(self, grace_s: float) -> None:
        """Claim nothing more, wait for what runs at most `grace_s`, hand the rest over, and end. Returns within the grace
        and twice the time that an agent may take to close."""
        self._draining = True
        self._freed.set()
        if self._server is not None and not self._claiming:
            self._server.cancel()  # never in the middle of a claim: what it got would be nobody's
        if self._server is not None:
            await asyncio.wait({self._server}, timeout=max(grace_s, RETRY_S))
        if self._runs and grace_s > 0:
            await asyncio.wait(set(self._runs), timeout=grace_s)
        if self._runs:
            log.info("handing over what still runs", runs=len(self._runs))
            for run in self._runs.values():
                run.hand_over()
            await asyncio.wait(set(self._runs), timeout=self._terms.cancel_grace_s * 2)
        await self._tasks.close(ABANDONED_S)

    async def close(self) -> None:
        """Stop at once and write nothing: what runs is recovered by whoever claims it next."""
        self._draining = True
        await self._tasks.close()

    async def _serve(self) -> None:
        """Claim while there are slots; how many at once grows while all of them find something."""
        wave = 1
        while not self._draining:
            if self.running >= self.slots:
                self._freed.clear()
                await self._freed.wait()
                continue
            try:
                await self._store.claimable()
                found = await self._claim(min(wave, self.slots - self.running))
            except Exception as error:  # noqa: BLE001 - whatever the store has, the server must go on claiming
                self._outage.failed(error)
                found = -1
            else:
                self._outage.over()
            if found < 0:
                await asyncio.sleep(RETRY_S * (0.5 + self._terms.dice() / 2))
            elif found == 0:
                wave = 1
                await asyncio.sleep(NONE_FOUND_S)
            else:
                wave = min(wave * 2, CLAIMS_AT_ONCE_MAX) if found >= wave else 1

    async def _claim(self, count: int) -> int:
        """Claim up to `count` and run them; how many there were. Raises: what the store raised, if none was got."""
        self._claiming = count
        try:
            if count == 1:
                got: list[Claim | BaseException | None] = [await self._store.claim()]
            else:
                got = await asyncio.gather(
                    *(self._store.claim() for _ in range(count)), return_exceptions=True
                )
        finally:
            self._claiming = 0
        found = 0
        error: BaseException | None = None
        for item in got:
            if isinstance(item, BaseException):
                error = item
            elif item is not None:
                found += 1
                self._run(item)
        if error is not None and not found:
            raise error
        return found

    def _run(self, claim: Claim) -> None:
        journal = claim.log
        if claim.how == "recovered" and self._shared:  # of one's own there is one line, at the start
            name, attempt = journal.key.request_id, journal.attempt + 1
            log.info("an answer is taken over", request_id=name, term=claim.term, attempt=attempt)
        run = Run(self._terms, claim)
        task = self._tasks.start(run.live(), f"run {journal.key.request_id}")
        self._runs[task] = run
        task.add_done_callback(self._free)
        if self._draining:
            run.hand_over()

    def _free(self, task: asyncio.Task[None]) -> None:
        del self._runs[task]
        self._freed.set()

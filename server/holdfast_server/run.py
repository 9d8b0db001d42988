"""One claimed request, from its claim to its seal, its park or its hand-over.

Three things happen side by side, each in its own task or timer, and the first to end decides:

    work      runs the agent, again if need be, and at the end puts the outcome and seals
    the seal  somebody else ended the request (cancel, a deadline elsewhere): to cancel is to seal; or a later term
              has it, because this node stood still for too long
    stop      one of our clocks ran out, or the node drains

`over` is the line between them: once it is set nothing that the agent still yields is taken, so that only one of them
writes. `ending` is the line in the other direction: once `work` has put its outcome nobody interrupts it, or there would
be two (I2). An agent that does not end within the grace after it was cancelled is abandoned, and the log says so.

A fenced run stops and writes nothing at all: its request belongs to another term (I3).
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

import structlog

from holdfast_protocol import events as ev
from holdfast_protocol.errors import IllegalEvent

from .attempts import Attempts
from .deadlines import Due, sentence
from .patience import patiently
from .stores.base import Claim, Fenced, JournalSealed, StoreError, Unavailable, UnknownRequest
from .terms import Terms

log = structlog.get_logger(__name__)

ACCOUNT_TRIES_MAX: Final = 5
"""An account is worth some tries, but not a slot."""


class Run:
    """The life of one claim. `live` is the whole of it; `hand_over` ends it early."""

    def __init__(self, terms: Terms, claim: Claim) -> None:
        self.claim = claim
        self._terms = terms
        self._log = claim.log
        self._record = claim.log.record
        self._writer = terms.store.writer(claim)
        self._attempts = Attempts(terms, claim, self._writer, self._ran_out)
        self._stop: asyncio.Future[Due | None] = asyncio.get_running_loop().create_future()
        self._ending = False
        self._ended_as = ""

    def __repr__(self) -> str:
        return f"Run({self._record.key.request_id}, term={self.claim.term})"

    async def live(self) -> None:
        """Run to the end. Raises nothing but cancellation, and then nothing was written about it: as after a crash."""
        tasks, name = self._terms.tasks, self._record.key.request_id
        work = tasks.start(self._work(), f"work {name}")
        sealed = tasks.start(self._log.wait_sealed(self.claim.term), f"seal {name}")
        try:
            await asyncio.wait({work, sealed, self._stop}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and not self._ending:
                await self._cut_short(work)
            elif not work.done():
                await asyncio.wait({work})
            if work.cancelled() and not self._attempts.over:
                raise RuntimeError("the work was cancelled by nobody")
            if work.done() and not work.cancelled() and (error := work.exception()) is not None:
                raise error  # it failed while it wrote down its failure
        except Fenced:
            self._log_fenced()
        except StoreError as error:
            log.info("run ends", run=repr(self), why=repr(error))
        except Exception as error:  # noqa: BLE001 - a bug of ours must not leave a request without an outcome
            await self._last_resort(self._internal(error))
        finally:
            self._attempts.over = True
            self._attempts.stop_clock()
            work.cancel()
            sealed.cancel()

    def hand_over(self) -> None:
        """Stop, and give the request back for another node or the next start to go on with."""
        if not self._stop.done():
            self._stop.set_result(None)

    # -- the end ---------------------------------------------------------------------------------------------

    async def _cut_short(self, work: asyncio.Task[None]) -> None:
        """Somebody else ended or has it, a clock ran out, or the node drains: end the agent, and say which it was. Raises:
        Fenced if somebody else has it."""
        self._attempts.over = True
        self._attempts.stop_clock()
        work.cancel()
        due = self._stop.result() if self._stop.done() else None
        replaced = self._log.term > self.claim.term
        if self._log.sealed:
            self._ended_as = self._log.status
        elif due is not None and not replaced:
            message = sentence(due.code, due.limit_s)
            await self._seal(ev.TimedOut(at=self._now(), code=due.code, message=message, retryable=True))
        grace_s = self._terms.cancel_grace_s
        _, pending = await asyncio.wait({work}, timeout=grace_s)
        if pending:
            log.error(
                "the agent does not end and is abandoned",
                run=repr(self),
                agent=self._record.agent,
                grace_s=grace_s,
            )
        if self._log.sealed or self._log.erased:
            await self._account()
            return
        if replaced:
            raise Fenced("A later term runs this request.")
        await self._writer.flush()
        self._ended_as = "handed_over"
        await self._account()
        await patiently(lambda: self._terms.store.release(self.claim), "release")

    async def _seal(self, outcome: ev.Outcome) -> None:
        """Put the outcome behind the last deltas, and wait until both are durable."""
        self._ending = True
        self._ended_as = f"{ev.kind_of(outcome)}:{outcome.code}"
        self._attempts.stop_clock()
        try:
            for event in self._attempts.ended(outcome):
                self._writer.put(event)
            await self._writer.flush()
        except JournalSealed as sealed:
            self._ended_as = sealed.status
        except IllegalEvent as error:
            await self._last_resort(self._internal(error))

    async def _last_resort(self, outcome: ev.Outcome) -> None:
        """End the request without its writer, whose state cannot be trusted any more."""
        try:
            await patiently(lambda: self._terms.store.seal(self._record.key, outcome), "seal")
        except (JournalSealed, UnknownRequest):
            return

    async def _account(self) -> None:
        """Write down what this term used up; late is allowed, and if it cannot be done the answer stands all the same."""
        try:
            await self._attempts.write_account(self._ended_as, tries_max=ACCOUNT_TRIES_MAX)
        except UnknownRequest:
            return  # it was erased meanwhile, and what it used up with it
        except StoreError as error:
            log.warning("an account is lost", run=repr(self), error=repr(error))

    # -- the work --------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Whatever comes out of it, the request has its outcome afterwards, or is no longer ours."""
        try:
            outcome = await self._attempts.answer()
            if outcome is not None and not self._attempts.over:
                await self._seal(outcome)
                await self._account()
        except Fenced:
            self._log_fenced()
        except JournalSealed as sealed:
            self._ended_as = sealed.status
            await self._account()
        except (UnknownRequest, Unavailable) as error:  # it is gone, or the store closes: as after a crash
            log.info("run ends", run=repr(self), why=repr(error))
        except Exception as error:  # noqa: BLE001 - whatever an agent raises ends its own request, and nothing else
            await self._fail(error)

    async def _fail(self, error: Exception) -> None:
        """End the request after something that nobody foresaw; people get a number, the log gets the rest."""
        outcome = self._internal(error)
        if self._attempts.over:
            return
        if self._ending:
            await self._last_resort(outcome)
        else:
            await self._seal(outcome)
        await self._account()

    # -- small things ----------------------------------------------------------------------------------------

    def _now(self) -> int:
        return self._terms.now_ms()

    def _ran_out(self, due: Due) -> None:
        if not self._stop.done():
            self._stop.set_result(due)

    def _internal(self, error: Exception) -> ev.Failed:
        incident = secrets.token_hex(4)
        log.error("a run failed", incident=incident, run=repr(self), agent=self._record.agent, exc_info=error)
        message = f"The server failed on this; what happened is in its log as incident {incident}."
        return ev.Failed(at=self._now(), code="internal", message=message, retryable=True)

    def _log_fenced(self) -> None:
        log.warning("fenced: another term owns the request; nothing is written", run=repr(self))

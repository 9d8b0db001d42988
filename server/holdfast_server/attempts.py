"""What a run does while nobody interrupts it: enters the agent, has written what comes (pump.py), tries again, parks.

An attempt is one try at the content. Most requests have one; a failure after something was shown begins the next under
the same term, and what was shown is dropped (or kept up to the last checkpoint), which every reader is told by the log.
A failure before anything was shown costs a try too, but no attempt: there is nothing to take back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog

from holdfast_protocol import events as ev
from holdfast_protocol.fold import fold

from .agents.base import (
    Agent,
    AgentFailure,
    Context,
    Finish,
    Message,
    Profile,
    Step,
    Wait,
)
from .composer import Composer
from .deadlines import Due, RunClock, lowered, sentence
from .patience import patiently
from .plain import refused, scrub
from .pump import Pump, close
from .recovery import after_failure, beginning, kept, spent_ms, strikes
from .steps import Steps
from .stores.base import Account, Claim, InboxUnread, JournalSealed, LogWriter, StoreError
from .terms import Terms
from .usage import add_usage

log = structlog.get_logger(__name__)

MESSAGE_CHARS_MAX: Final = 2000
"""A sentence for people; an upstream's error page is none."""

CHARS_PER_TOKEN: Final = 4
"""The usual estimate, where an upstream was cut off before it said what was used."""

WAITED_S: Final = 5.0
"""A wait for the history from which on it is written down that the run only begins now: after a crash without a word the
time from `started` on is counted as the agent's, and so much of it does not matter."""


class Attempts:
    """The attempts of one term. `ran_out` is called when a clock runs out. Whoever sets `over` ends them: nothing that
    the agent yields from then on is written."""

    def __init__(self, terms: Terms, claim: Claim, writer: LogWriter, ran_out: Callable[[Due], None]) -> None:
        self.over = False
        self._terms = terms
        self._claim = claim
        self._log = claim.log
        self._record = claim.log.record
        self._writer = writer
        self._ran_out = ran_out
        self._composer: Composer | None = None
        self._clock: RunClock | None = None
        self._spent_s = 0.0
        self._profile: Profile | None = None
        self._steps = Steps(lambda: self.write_account("running"))
        self._tries = 0
        self._inbox_seen = 0
        self._usage: ev.Usage | None = None
        self._asked_chars = 0
        self._bytes_before = 0

    def ended(self, outcome: ev.Outcome) -> list[ev.Event]:
        """The last events of the journal."""
        return [outcome] if self._composer is None else self._composer.ended(outcome)

    def stop_clock(self) -> None:
        """Nothing runs out any more."""
        if self._clock is not None:
            self._clock.stop()

    async def write_account(self, reason: str, *, tries_max: int | None = None) -> None:
        """Write down what this term used up; late is allowed. Raises: StoreError."""
        composer = self._composer
        usage = self._usage
        if composer is not None and composer.tokens is not None:
            usage = add_usage(usage, composer.tokens)
        if usage is None and composer is not None and self._profile is not None and self._profile.model:
            made = max(0, composer.bytes - self._bytes_before)
            usage = ev.Usage(
                at=self._now(), input_tokens=self._asked_chars // CHARS_PER_TOKEN,
                output_tokens=made // CHARS_PER_TOKEN, estimated=True,
            )  # fmt: skip
        account = Account(
            term=self._claim.term,
            usage=usage,
            running_ms=self._clock.running_ms if self._clock is not None else 0,
            reason=reason,
            steps=self._steps.of_term,
        )
        store, key = self._terms.store, self._record.key
        await patiently(lambda: store.account(key, account), "account", tries_max=tries_max)

    # -- the work ------------------------------------------------------------------------------------------

    async def answer(self) -> ev.Outcome | None:
        """Run the agent until there is an outcome; None if the request is parked, or was taken from us.
        Raises: StoreError."""
        agent = self._terms.agents.get(self._record.agent)
        if agent is None:
            message = f"There is no agent {self._record.agent!r} on this server any more."
            return ev.Failed(at=self._now(), code="unknown_agent", message=message)
        outcome = await self._begin(agent.profile)
        if outcome is not None:
            return outcome
        try:
            messages = await self._asked()
        except StoreError as error:  # what was asked is not there any more: nobody would ever end the request
            log.warning("what was asked cannot be read", run=repr(self), why=repr(error))
            message = "What this answers was deleted, or cannot be read any more."
            return ev.Failed(at=self._now(), code="unknown_message", message=message)
        self._asked_chars = sum(len(message.text) for message in messages)
        clocks = lowered(agent.profile.clocks, self._record.deadlines)
        self._clock = RunClock(clocks, self._spent_s, self._ran_out)
        while True:
            entered = await self._enter(agent, messages)
            if self.over:
                return None
            ended = await self._park(entered, agent.profile) if isinstance(entered, Wait) else entered
            if ended is None:
                return None
            if isinstance(ended, AgentFailure):
                failed = await self._try_again(ended, agent.profile)
                if failed is not None:
                    return failed
            elif isinstance(ended, str):
                return ev.Completed(at=self._now(), code=ended)

    async def _asked(self) -> Sequence[Message]:
        """What the agent is asked. No clock runs yet: the history may be away for long, and that time is ours. Raises:
        StoreError."""
        now = asyncio.get_running_loop().time
        began = now()
        messages = await patiently(lambda: self._terms.history(self._record), "history")
        if now() - began > WAITED_S:
            with suppress(StoreError):  # it counts too much then
                await self.write_account("running", tries_max=1)
        return messages

    async def _begin(self, profile: Profile) -> ev.Outcome | None:
        """Append `started`, and the decisions that came in; or say why there is nothing to begin."""
        terms, record, claim = self._terms, self._record, self._claim
        self._profile = profile
        clocks = lowered(profile.clocks, record.deadlines)
        if self._log.sealed:  # somebody was faster than our first step
            raise JournalSealed(self._log.status)
        composer = self._compose_from_log()
        queue_s = clocks.queue_s if composer.fold.status == "queued" else None
        if queue_s is not None and self._now() - record.created_at > queue_s * 1000:
            message = sentence("queue", queue_s)
            return ev.TimedOut(at=self._now(), code="queue", message=message, retryable=True)
        accounts: list[Account] = []
        if claim.how != "first":
            accounts = await patiently(lambda: terms.store.accounts(record.key), "accounts")
            self._steps.load(accounts)
        begin = beginning(claim, composer.fold, profile, self._now())
        if isinstance(begin, ev.Interrupted):
            return begin
        self._tries = strikes(self._log.events, judged=claim.judged)
        if begin.reason == "recovered" and not claim.judged:
            self._tries += 1
        self._spent_s = spent_ms(self._log.events, accounts, claim.term) / 1000
        self._start(begin.attempt, begin.keep, begin.reason)
        self._put(composer.decided(self._log.inbox, self._now()))
        self._bytes_before = composer.bytes
        if terms.narrate:
            step = Step("holdfast.agent", f"{profile.name} begins", kind="agent_loaded", state="done")
            self._put(composer.compose(step, self._now(), own=True))
        return None

    async def _enter(self, agent: Agent, messages: Sequence[Message]) -> Finish | Wait | AgentFailure:
        """Run the agent once."""
        composer = self._now_composer
        started = composer.fold.started
        assert started is not None
        once = self._profile is not None and self._profile.recovery == "interrupt"
        if composer.fold.parts or started.reason != "first" or once:
            # The agent is shown what stands; a first run has nothing to wait for, unless a crash must not repeat it:
            # then the log has to say that it began before it does.
            await self._written()
        composer.entered()
        inbox = tuple(self._log.inbox)
        self._inbox_seen = len(inbox)
        context = Context(
            request_id=self._record.key.request_id, owner=self._record.key.owner, chat_id=self._record.chat_id,
            messages=messages, options=self._record.options, attempt=started.attempt, reason=started.reason,
            transcript=fold(self._log.events), inputs=inbox, step=self._steps.step,
        )  # fmt: skip
        pump = Pump(
            composer, self._writer, self._now_clock, now_ms=self._terms.now_ms, over=lambda: self.over
        )
        outputs = agent.run(context)
        try:
            return await pump.take(outputs)
        except AgentFailure as failure:
            return failure
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise RuntimeError("the agent cancelled itself") from None
        except (SystemExit, GeneratorExit) as error:
            raise RuntimeError(f"the agent raised {type(error).__name__}") from error
        finally:
            if composer.tokens is not None:
                self._usage, composer.tokens = add_usage(self._usage, composer.tokens), None
            await close(outputs, self._record.key.request_id)

    async def _park(self, wait: Wait, profile: Profile) -> Wait | AgentFailure | None:
        """Give slot and lease away until a person has decided. None: done; the wait itself, if something came in that the
        agent must see first; or why it cannot be."""
        if not profile.resumable:
            return AgentFailure(
                "not_resumable",
                "The agent asks a person, but says of itself that it cannot be entered again.",
            )
        try:
            events, waiting = self._now_composer.waiting(wait, self._now())
        except AgentFailure as failure:
            return failure
        if any(item.kind == "decision" and item.id == wait.id for item in self._log.inbox):
            # Of an attempt that was dropped since: its decision is among the inputs that the agent was given.
            return refused(f"a second wait {wait.id!r}, which was decided before")
        self._put(events)
        await self._written()
        await self.write_account("parked")  # before: whoever claims it next counts on it
        try:
            await patiently(lambda: self._terms.store.park(self._claim, self._inbox_seen, waiting), "park")
        except InboxUnread:
            return wait
        return None

    async def _written(self) -> None:
        """Return when the log has all that was put. While the store is the slow one, the agent's clocks rest. Raises:
        StoreError."""
        self._now_clock.rest("store")
        await self._writer.flush()
        self._now_clock.go_on("store")

    async def _try_again(self, failure: AgentFailure, profile: Profile) -> ev.Failed | None:
        """Wait, visibly, and begin anew: within the attempt if nothing was shown, else by the next one. Or give up."""
        composer, clock = self._now_composer, self._now_clock
        again = after_failure(
            failure, tries=self._tries, shown=composer.shown, fold=composer.fold, profile=profile,
            append_only=self._record.append_only, dice=self._terms.dice(),
        )  # fmt: skip
        if again is None:
            return ev.Failed(
                at=self._now(), code=failure.code, message=_sentence(failure), retryable=failure.retryable
            )
        self._tries += 1
        label = f"{_sentence(failure)} Trying again in {max(1, round(again.wait_s))} s."
        step = Step("holdfast.retry", label, "retry", self._tries, profile.retries)
        self._put(composer.compose(step, self._now(), own=True))
        if again.announced:
            clock.rest("retry")
        await asyncio.sleep(again.wait_s)
        clock.go_on("retry")
        done = Step("holdfast.retry", "Tried again.", "retry", self._tries, profile.retries, state="done")
        self._put(composer.compose(done, self._now(), own=True))
        if again.how != "same":
            await self._written()  # only then does the log say where its checkpoints are
            composer = self._compose_from_log()
            started = composer.fold.started
            assert started is not None
            clock.attempt()
            self._start(started.attempt + 1, "all" if again.how == "go_on" else kept(composer.fold), "retry")
        return None

    # -- small things --------------------------------------------------------------------------------------

    @property
    def _now_composer(self) -> Composer:
        assert self._composer is not None
        return self._composer

    @property
    def _now_clock(self) -> RunClock:
        assert self._clock is not None
        return self._clock

    def _now(self) -> int:
        return self._terms.now_ms()

    def _compose_from_log(self) -> Composer:
        self._composer = Composer(self._log.events, answer_bytes_max=self._terms.answer_bytes_max)
        return self._composer

    def _start(self, attempt: int, keep: ev.Keep, reason: ev.Reason) -> None:
        claim = self._claim
        self._put(
            self._now_composer.started(
                self._now(), attempt=attempt, term=claim.term, nonce=claim.nonce, keep=keep, reason=reason
            )
        )

    def _put(self, events: Sequence[ev.Event]) -> None:
        for event in events:
            self._writer.put(event)


def _sentence(failure: AgentFailure) -> str:
    return scrub(str(failure))[:MESSAGE_CHARS_MAX]

"""The runner: from claim to seal, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import structlog

from holdfast_protocol import events as ev
from holdfast_protocol.transcript import ProgressPart, TextPart, WaitPart
from holdfast_server.agents import (
    AgentFailure,
    Context,
    End,
    Mark,
    Output,
    Reasoning,
    Step,
    Text,
    Tokens,
    ToolCallBegin,
    ToolReady,
    Wait,
)
from holdfast_server.stores.base import Claim, Fenced, InboxItem, JournalSealed, Key, Unavailable
from holdfast_server.stores.memory import MemoryStore
from tests.support.runs import Bench, Played, says, simulate
from tests.support.simloop import SimLoop

BUSY = AgentFailure("busy", "The model is busy.", retryable=True)


def starts(log: Any) -> list[tuple[int, int, Any, str]]:
    return [
        (event.attempt, event.term, event.keep, event.reason)
        for event in log.events
        if isinstance(event, ev.Started)
    ]


def test_an_answer_is_written_and_sealed_with_its_last_words():
    """What the agent yields is the transcript, in order; the outcome is the last event (I2); the account says what it used."""

    async def main(bench: Bench) -> None:
        key = await bench.submit("How?", options={"x": 1})
        transcript = await bench.sealed(key)
        log = await bench.log(key)
        assert (transcript.status, transcript.text) == ("completed", "Like this.")
        assert isinstance(log.events[-1], ev.Completed)
        assert log.events[-1].code == "length"
        assert starts(log) == [(1, 1, "all", "first")]
        account = await bench.account(key)
        assert account.usage is not None
        assert (account.usage.input_tokens, account.running_ms, account.reason) == (
            3,
            2000,
            "completed:length",
        )
        context = bench.agent.contexts[0]
        assert (context.request_id, context.options, context.attempt) == ("r1", {"x": 1}, 1)
        assert context.messages[-1].text == "How?"

    simulate(Played(says(Reasoning("hm"), "Like ", 2, "this.", Tokens(3, 4), End("length"))), main)


def test_a_failure_before_output_is_tried_again_in_the_same_attempt():
    """Nothing was shown, so nothing is superseded; the wait is shown as a step that ends; the server's wait is kept."""
    busy = AgentFailure("busy", "The model is busy.", retryable=True, retry_after_s=7)

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(3)
        _, step = (await bench.log(key)).fold().transcript().parts
        assert isinstance(step, ProgressPart)
        assert (step.state, step.step_kind) == ("running", "retry")
        assert step.label == "The model is busy. Trying again in 7 s."
        transcript = await bench.sealed(key)
        log = await bench.log(key)
        assert (transcript.text, len(starts(log))) == ("good", 1)
        assert log.events[-1].at - log.events[0].at == 7000
        assert transcript.parts[1].state == "done"  # type: ignore[union-attr]

    simulate(Played(says(Step("load", "Loading", state="done"), busy), says("good")), main)


def test_a_failure_after_output_is_superseded():
    """Every reader is told to drop what was shown: attempt 2 begins with keep = none, under the same term."""

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        transcript = await bench.sealed(key)
        assert transcript.text == "good"
        assert starts(await bench.log(key)) == [(1, 1, "all", "first"), (2, 1, "none", "retry")]
        assert [context.reason for context in bench.agent.contexts] == ["first", "retry"]
        assert bench.agent.contexts[1].transcript.parts == []

    simulate(Played(says("ba", BUSY), says("good")), main)


def test_a_checkpoint_is_kept_by_the_next_attempt():
    """Only what came after the last checkpoint is dropped, at its place in the log, however deltas were merged there."""

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        transcript = await bench.sealed(key)
        log = await bench.log(key)
        assert transcript.text == "kept, good"
        (_, (attempt, _, keep, _)) = starts(log)
        assert attempt == 2
        assert isinstance(log.events[keep], ev.Checkpoint)
        assert bench.agent.contexts[1].transcript.text == "kept, "

    simulate(Played(says(*"kept, ", Mark(), "lost", 1, BUSY), says("good")), main)


def test_an_agent_that_continues_goes_on_from_what_stands():
    """Nothing that was shown is dropped, also where it could not be."""

    async def main(bench: Bench) -> None:
        key = await bench.submit(append_only=True)
        transcript = await bench.sealed(key)
        assert [part.text for part in transcript.parts if isinstance(part, TextPart)] == ["one two"]
        assert starts(await bench.log(key))[1] == (2, 1, "all", "retry")
        assert bench.agent.contexts[1].transcript.text == "one "

    simulate(Played(says("one ", BUSY), says("two"), recovery="continue"), main)


def test_append_only_text_is_never_taken_back():
    """A reader that cannot drop text gets a failure after output, and a second try before it."""

    async def main(bench: Bench) -> None:
        first = await bench.ask(append_only=True)
        assert (first.status, first.text, first.attempt) == ("failed", "good", 1)
        assert first.outcome is not None
        assert (first.outcome.code, first.outcome.retryable) == ("busy", True)

    simulate(Played(says(BUSY), says("good", BUSY), says("never")), main)


def test_the_budget_of_retries_is_one_for_all_failures():
    """Silent and superseding tries are charged alike; then the failure is the outcome."""

    async def main(bench: Bench) -> None:
        transcript = await bench.ask()
        assert (transcript.status, transcript.attempt) == ("failed", 2)
        assert len(bench.agent.contexts) == 3
        assert transcript.outcome is not None
        assert (transcript.outcome.code, transcript.outcome.message) == ("busy", "The model is busy.")

    simulate(Played(says("a", BUSY), says(BUSY)), main)


def test_a_failure_for_good_is_not_tried_again():
    """The code is for programs, the sentence for people, and what was shown stands."""

    async def main(bench: Bench) -> None:
        transcript = await bench.ask()
        assert (transcript.status, transcript.text) == ("failed", "shown")
        outcome = transcript.outcome
        assert outcome is not None
        assert (outcome.code, outcome.message, outcome.retryable) == ("no_key", "No key.", False)

    simulate(Played(says("shown", AgentFailure("no_key", "No key."))), main)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret details"),
        asyncio.CancelledError(),
        TimeoutError(),
        SystemExit(3),
        GeneratorExit(),
    ],
)
def test_any_other_exception_ends_its_own_request_only(error: Any):
    """People get an incident's number, the log gets what happened, and the next request is answered."""

    async def main(bench: Bench) -> None:
        with structlog.testing.capture_logs() as logs:
            transcript = await bench.ask()
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.code) == ("failed", "internal")
        assert "secret" not in transcript.outcome.message
        (entry,) = [entry for entry in logs if entry["event"] == "a run failed"]
        assert entry["incident"] in transcript.outcome.message
        assert (await bench.ask()).text == "fine"

    async def fails(context: Context) -> AsyncIterator[Output]:
        yield "a"
        raise error

    simulate(Played(fails, says("fine")), main)


def test_an_agent_that_is_none_and_one_that_is_gone_fail_their_requests():
    """A coroutine in place of a generator, and a name that nobody has: each is an outcome, not a stuck request."""

    async def main(bench: Bench) -> None:
        gone = await bench.ask(agent="gone")
        assert gone.outcome is not None
        assert (gone.status, gone.outcome.code) == ("failed", "unknown_agent")
        wrong = await bench.ask()
        assert wrong.outcome is not None
        assert wrong.outcome.code == "internal"

    simulate(Played(lambda context: 7), main)  # type: ignore[arg-type, return-value]


def test_output_that_breaks_the_port_is_a_failure_with_a_sentence():
    """The agent's author reads what was wrong."""

    async def main(bench: Bench) -> None:
        transcript = await bench.ask()
        assert transcript.outcome is not None
        assert (transcript.outcome.code, transcript.text) == ("invalid_output", "a")

    simulate(Played(says("a", b"b")), main)  # type: ignore[arg-type]


# -- cancel --------------------------------------------------------------------------------------------------


class Watched:
    """A play that notes how it ended, and reports tokens though it is being cancelled."""

    def __init__(self, close_s: float = 0.0, stubborn: bool = False) -> None:
        self.closed_at: float | None = None
        self._close_s = close_s
        self._stubborn = stubborn

    async def __call__(self, context: Context) -> AsyncIterator[Output]:
        yield "a"
        yield Tokens(5, 1)
        try:
            await asyncio.sleep(50)
        except asyncio.CancelledError:
            yield Tokens(5, 9)
            if self._stubborn:
                await asyncio.sleep(1000)
            raise
        finally:
            await asyncio.sleep(self._close_s)
            self.closed_at = asyncio.get_running_loop().time()
        yield "never"


async def cancel(bench: Bench, key: Key) -> None:
    await bench.store.seal(key, ev.Cancelled(at=bench.sim.now_ms(), code="user"))


def test_to_cancel_is_to_seal():
    """Whoever seals wins: the agent is cancelled and closed at once, nothing follows, and what it used is written late."""
    play = Watched()

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(3)
        await cancel(bench, key)
        cancelled_at = bench.sim.time()
        transcript = await bench.sealed(key)
        assert (transcript.status, transcript.text) == ("cancelled", "a")
        assert play.closed_at == cancelled_at
        account = await bench.account(key)
        assert account.usage is not None
        assert (account.usage.output_tokens, account.reason, account.running_ms) == (9, "cancelled", 3000)

    simulate(Played(play), main)


def test_an_agent_that_does_not_end_is_abandoned():
    """After the grace its slot is free again and the log says so; it never writes anything more."""
    play = Watched(stubborn=True)

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(3)
        with structlog.testing.capture_logs() as logs:
            await cancel(bench, key)
            await asyncio.sleep(9.9)
            assert bench.runner.running == 1
            await asyncio.sleep(0.2)
            assert bench.runner.running == 0
        assert any("abandoned" in entry["event"] for entry in logs)
        tail = (await bench.log(key)).tail
        await asyncio.sleep(1100)
        assert (await bench.log(key)).tail == tail

    simulate(Played(play), main)


def test_what_is_cancelled_before_its_start_never_runs():
    """A queued request ends by the same seal."""

    async def main(bench: Bench) -> None:
        first = await bench.submit()
        second = await bench.submit()
        await asyncio.sleep(1)
        await cancel(bench, second)
        assert (await bench.sealed(first)).status == "completed"
        assert len(bench.agent.contexts) == 1

    simulate(Played(says("a", 5, "b")), main, slots=1)


@pytest.mark.parametrize("seed", range(30))
def test_a_cancel_at_any_moment_leaves_one_outcome(seed: int):
    """Against the end, a retry and a park: exactly one terminal event, last, and a free slot."""
    agent = Played(says("a", 0.3, BUSY), says("b", 0.3, "c"))

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(bench.sim.dice("when").uniform(0, 1.3))
        with suppress(JournalSealed):  # it may have been too late
            await cancel(bench, key)
        await bench.sealed(key)
        log = await bench.log(key)
        assert [isinstance(event, ev.OUTCOMES) for event in log.events].count(True) == 1
        assert isinstance(log.events[-1], ev.OUTCOMES)
        assert bench.runner.running == 0

    simulate(agent, main, seed=seed)


@pytest.mark.parametrize("error", [RuntimeError("x"), asyncio.CancelledError(), SystemExit(3)])
def test_an_agent_that_fails_while_it_closes_changes_nothing(error: Any):
    """After a Wait, after a cancel and after its last word: what it raises on the way out is logged only."""

    async def play(context: Context) -> AsyncIterator[Output]:
        try:
            yield "a"
            if "wait" in context.messages[-1].text:
                yield Wait("w", "approval")
            await asyncio.sleep(5)
        finally:
            raise error

    async def main(bench: Bench) -> None:
        waits, runs = await bench.submit("wait"), await bench.submit("run")
        await asyncio.sleep(1)
        await cancel(bench, runs)
        assert (await bench.sealed(runs)).status == "cancelled"
        assert (await bench.log(waits)).status == "waiting"

    simulate(Played(play), main)


def test_tokens_are_counted_once_for_each_run():
    """Reports replace each other within a run, add up over runs, and a step in between counts nothing twice."""

    async def play(context: Context) -> AsyncIterator[Output]:
        yield Tokens(10, 1)

        async def nothing() -> None: ...

        await context.step(f"s{context.attempt}", nothing)
        yield "a"
        yield Tokens(10, 5)
        if context.attempt == 1:
            raise BUSY

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        transcript = await bench.sealed(key)
        account = await bench.account(key)
        for usage in (transcript.usage, account.usage):
            assert usage is not None
            assert (usage.input_tokens, usage.output_tokens) == (20, 10)

    simulate(Played(play), main)


def test_usage_of_a_model_that_reports_none_is_estimated():
    """A cancel is no free way round a budget: what was written is counted, and marked as an estimate."""

    async def main(bench: Bench) -> None:
        key = await bench.submit("x" * 40)
        await asyncio.sleep(1)
        await cancel(bench, key)
        await bench.sealed(key)
        usage = (await bench.account(key)).usage
        assert usage is not None
        assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (10, 20, True)

    simulate(Played(says("y" * 80, 50), model="m"), main)


# -- waiting -------------------------------------------------------------------------------------------------


async def decide(bench: Bench, key: Key, value: Any) -> None:
    waiting = (await bench.log(key)).waiting
    assert waiting is not None
    item = InboxItem(
        kind="decision", id=waiting.wait_id, at=bench.sim.now_ms(), digest=waiting.digest, value=value
    )
    assert await bench.store.put_input(key, item)


def test_a_wait_parks_and_a_decision_goes_on():
    """A parked request holds neither slot nor task; the agent is entered anew, with the decision, in the same attempt."""
    agent = Played(
        says("May I? ", ToolCallBegin("1", "f"), ToolReady("1"), Wait("w", "approval", {"n": 1})),
        says("Yes."),
    )

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(700)  # longer than every clock
        assert bench.runner.running == 0
        assert (await bench.log(key)).status == "waiting"
        await decide(bench, key, {"approved": True})
        transcript = await bench.sealed(key)
        assert (transcript.status, transcript.text, transcript.attempt, transcript.term) == (
            "completed",
            "May I? Yes.",
            1,
            2,
        )
        wait = transcript.parts[2]
        assert isinstance(wait, WaitPart)
        assert (wait.state, wait.decision) == ("decided", {"approved": True})
        context = agent.contexts[1]
        assert (context.reason, context.inputs[0].value) == ("resumed", {"approved": True})
        assert context.transcript.text == "May I? "
        assert isinstance(context.transcript.parts[2], WaitPart)
        assert context.transcript.parts[2].decision == {"approved": True}
        assert [account.reason for account in await bench.store.accounts(key)] == ["parked", "completed:stop"]

    simulate(agent, main)


def test_an_input_that_the_agent_has_not_seen_prevents_the_park():
    """A park that would lose a wake-up is refused; the agent is entered again, with the input, and may wait then."""
    agent = Played(says(5, Wait("w", "approval")), says(Wait("w", "approval")))

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(1)
        await bench.store.put_input(
            key, InboxItem(kind="steer", id="s", at=bench.sim.now_ms(), value="shorter")
        )
        await asyncio.sleep(10)
        assert (await bench.log(key)).status == "waiting"
        assert [len(context.inputs) for context in agent.contexts] == [0, 1]
        assert starts(await bench.log(key)) == [(1, 1, "all", "first")]

    simulate(agent, main)


def test_a_wait_that_was_decided_is_not_asked_again():
    """Under the same id nobody could decide it any more: it is the agent's failure, not a request that waits for ever."""

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(1)
        await decide(bench, key, True)
        transcript = await bench.sealed(key)
        assert transcript.outcome is not None
        assert transcript.outcome.code == "invalid_output"

    simulate(Played(says(Wait("w", "approval"))), main)
    simulate(Played(says(Wait("w", "approval")), says("a", BUSY), says(Wait("w", "approval"))), main)


def test_a_wait_by_an_agent_that_cannot_be_entered_again_fails():
    """It is told at its first use, in development too."""

    async def main(bench: Bench) -> None:
        transcript = await bench.ask()
        assert transcript.outcome is not None
        assert transcript.outcome.code == "not_resumable"

    simulate(Played(says(Wait("w", "approval")), resumable=False), main)


def test_a_cancel_of_a_parked_request_closes_its_wait():
    """The seal needs no lease, and nobody runs it afterwards."""

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(5)
        await cancel(bench, key)
        transcript = await bench.sealed(key)
        assert transcript.parts[0].state == "closed"  # type: ignore[union-attr]
        assert len(bench.agent.contexts) == 1

    simulate(Played(says(Wait("w", "approval"))), main)


def test_a_step_is_taken_once():
    """What a step returned is recorded before the agent gets it, and given again after a wait."""
    calls: list[str] = []

    async def charge() -> dict[str, Any]:
        calls.append("charged")
        await asyncio.sleep(1)
        return {"receipt": (1, 2)}

    async def play(context: Context) -> AsyncIterator[Output]:
        receipts: Any = await asyncio.gather(context.step("charge", charge), context.step("charge", charge))
        assert list(receipts) == [{"receipt": [1, 2]}, {"receipt": [1, 2]}]
        yield "a"
        if context.reason == "first":
            yield Wait("w", "approval")

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(2)
        await decide(bench, key, True)
        assert (await bench.sealed(key)).status == "completed"
        assert calls == ["charged"]

    simulate(Played(play), main)


# -- slots, drain, stores that fail ----------------------------------------------------------------------------


def test_no_more_run_than_there_are_slots():
    """The rest waits as queued, oldest first, and every one is answered."""
    running = 0
    most = 0

    async def play(context: Context) -> AsyncIterator[Output]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(1)
        running -= 1
        yield context.request_id

    async def main(bench: Bench) -> None:
        keys = [await bench.submit() for _ in range(50)]
        transcripts = [await bench.sealed(key) for key in keys]
        assert [transcript.text for transcript in transcripts] == [f"r{number}" for number in range(1, 51)]
        assert most == 7
        assert bench.sim.now_ms() - transcripts[0].accepted_at < 10_000  # type: ignore[operator]

    simulate(Played(play), main, slots=7)


def test_an_agent_that_never_waits_stops_nobody():
    """The loop gets its turns: another request is answered meanwhile, and a cancel gets through."""

    async def greedy(context: Context) -> AsyncIterator[Output]:
        while True:
            yield Text("")

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(0)
        other = await bench.submit()
        await (await bench.log(other)).wait_sealed()
        await cancel(bench, key)
        await bench.sealed(key)

    simulate(Played(greedy, says("fine")), main)


def test_a_drain_lets_runs_end_and_hands_over_the_rest():
    """Within the grace an answer ends as ever; the rest is released without a strike, and goes on in the same attempt."""
    agent = Played(says("a", 3, "b"), says("x", 50, "y"), says("z"))

    async def main(bench: Bench) -> None:
        soon, late = await bench.submit(), await bench.submit()
        await asyncio.sleep(1)
        queued_at = bench.sim.time()
        await bench.runner.drain(10)
        assert bench.sim.time() - queued_at == pytest.approx(10, abs=0.1)
        assert (await bench.log(soon)).status == "completed"
        after = await bench.submit()
        await asyncio.sleep(5)
        log = await bench.log(late)
        assert (log.status, log.lease, (await bench.log(after)).status) == ("running", False, "queued")
        assert (await bench.account(late)).reason == "handed_over"
        await bench.another_runner().start()
        assert (await bench.sealed(late)).text == "z"
        assert starts(log) == [(1, 1, "all", "first"), (1, 2, "none", "handed_over")]
        assert (await bench.sealed(after)).status == "completed"

    simulate(agent, main)


def test_a_crash_is_a_new_attempt_until_it_happened_too_often():
    """A recovered request is told to its readers as a new attempt; beyond the budget it ends as interrupted."""

    class Crashing(MemoryStore):
        async def claim(self) -> Claim | None:
            claim = await super().claim()
            return claim and (claim._replace(how="recovered") if claim.how == "handed_over" else claim)

    async def main(sim: SimLoop) -> None:
        store = Crashing(now_ms=sim.now_ms, nonce=lambda: "abcdef01")
        async with Bench(sim, Played(says("a", 50)), store) as bench:
            key = await bench.submit()
            for _ in range(3):
                await asyncio.sleep(1)
                await bench.runner.drain(0)
                await bench.another_runner().start()
            transcript = await bench.sealed(key)
            assert [start[0] for start in starts(await bench.log(key))] == [1, 2, 3]
            assert transcript.outcome is not None
            assert (transcript.status, transcript.outcome.code, transcript.text) == (
                "interrupted",
                "too_often",
                "a",
            )

    sim = SimLoop(1)
    sim.run(main(sim))


def test_a_fenced_run_writes_nothing():
    """A zombie stops its agent and touches neither journal nor lease; its slot is free (I3)."""

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(1)
        log = await bench.log(key)
        log.term += 1  # another claim, as the store would see it
        tail = log.tail
        await asyncio.sleep(20)
        assert (log.tail, log.sealed, bench.runner.running) == (tail, False, 0)

    simulate(Played(says("a", 5, "b", 5, "c")), main)


FAULTY = (
    "claimable",
    "claim",
    "accounts",
    "account",
    "park",
    "release",
    "seal",
    "log",
    "summaries",
    "put_input",
)


class Faulty(MemoryStore):
    """A store of which one method fails, so many times."""

    fails: str = ""
    error: Exception = Unavailable("no answer")
    times: int = 0


def _failing(name: str) -> Any:
    real = getattr(MemoryStore, name)

    async def method(self: Faulty, *args: Any, **named: Any) -> Any:
        if self.fails == name and self.times > 0:
            self.times -= 1
            raise type(self.error)(*self.error.args)
        return await real(self, *args, **named)

    return method


for _name in FAULTY:
    setattr(Faulty, _name, _failing(_name))


@pytest.mark.parametrize("error", [Unavailable("no answer"), RuntimeError("a bug")])
@pytest.mark.parametrize("name", FAULTY)
@pytest.mark.parametrize("times", [1, 3])
def test_a_slot_is_released_once_whatever_the_store_does(name: str, error: Exception, times: int):
    """Answer, failure, wait, cancel and drain with a call of the store failing: every request gets its outcome and every slot
    is free exactly once (I10)."""

    async def main(sim: SimLoop) -> None:
        store = Faulty(now_ms=sim.now_ms, nonce=lambda: "abcdef01")
        plays = {
            "answer": says("a", 1, "b"),
            "fails": says("a", RuntimeError("agent")),
            "waits": says("a", Wait("w", "approval", expires_in_s=20)),
            "cancelled": says("a", 60),
        }

        def play(context: Context) -> AsyncIterator[Output]:
            text = context.messages[-1].text
            return (says("done") if context.reason == "resumed" else plays[text])(context)

        async with Bench(sim, Played(play, recovery="continue"), store, slots=2) as bench:
            keys = {text: await bench.submit(text) for text in plays}
            store.fails, store.times, store.error = name, times, error
            await asyncio.sleep(5)
            store.fails = "" if name == "seal" else name
            await cancel(bench, keys["cancelled"])
            await asyncio.sleep(60)
            await bench.runner.drain(1)
            assert bench.runner.running == 0
            store.fails = ""
            await bench.another_runner().start()
            for key in keys.values():
                assert (await bench.sealed(key)).outcome is not None
            await asyncio.sleep(1)
            assert bench.runner.running == 0

    sim = SimLoop(1)
    sim.run(main(sim))


def test_a_run_cancelled_before_its_first_step_frees_its_slot():
    """The slot is freed by the task's own callback, which also runs when its body never does."""

    async def main(bench: Bench) -> None:
        await bench.submit()
        runner = bench.runner
        freed: list[int] = []
        begin = runner._run

        def at_once(claim: Claim) -> None:
            begin(claim)
            (task,) = runner._runs
            task.cancel()
            task.add_done_callback(lambda _: freed.append(runner.running))

        runner._run = at_once  # type: ignore[method-assign]
        await asyncio.sleep(1)
        assert freed == [0]

    simulate(Played(says("a")), main)


def test_a_writer_that_says_fenced_at_once_is_believed():
    """Fenced at the very first write: nothing is written, nothing is sealed, the slot is free."""

    class Fencing(MemoryStore):
        def writer(self, claim: Claim) -> Any:
            writer: Any = super().writer(claim)
            writer.fail(Fenced("later term"))
            return writer

    async def main(sim: SimLoop) -> None:
        async with Bench(sim, Played(says("a")), Fencing(now_ms=sim.now_ms)) as bench:
            key = await bench.submit()
            await asyncio.sleep(5)
            assert ((await bench.log(key)).tail, bench.runner.running) == (1, 0)

    sim = SimLoop(1)
    sim.run(main(sim))

"""The runner: from claim to seal, and what is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from holdfast_protocol import events as ev
from holdfast_protocol.transcript import ProgressPart, TextPart
from holdfast_server.agents import (
    AgentFailure,
    Context,
    End,
    Mark,
    Output,
    Reasoning,
    Step,
    Tokens,
)
from tests.support.runs import BUSY, Bench, Played, says, simulate, starts


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

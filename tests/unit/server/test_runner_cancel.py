"""The runner: an answer that is ended from outside, and what it had used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import structlog

from holdfast_protocol import events as ev
from holdfast_server.agents import (
    Context,
    Output,
    Tokens,
    Wait,
)
from holdfast_server.stores.base import JournalSealed
from tests.support.runs import BUSY, Bench, Played, cancel, says, simulate


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

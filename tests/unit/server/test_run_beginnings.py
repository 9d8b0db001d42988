"""The first steps of a run: what may go wrong between the claim and the agent's first output."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import structlog

from holdfast_protocol import events as ev
from holdfast_server.agents import Clocks, Context, Message, Output
from holdfast_server.stores.base import Account, Claim, Key, Record, Unavailable, UnknownRequest
from holdfast_server.stores.memory import MemoryStore
from tests.support.runs import BUSY, Bench, Played, cancel, says, simulate
from tests.support.simloop import CLOCK_START_S, SimLoop


def test_a_history_that_does_not_answer_is_waited_for(monkeypatch):
    """A history that is behind delays an answer; it does not leave its request running for ever."""
    asked: list[Record] = []

    async def history(record: Record) -> Sequence[Message]:
        asked.append(record)
        if len(asked) < 4:
            raise Unavailable("the history is behind; try again")
        return [Message("user", "Well?")]

    monkeypatch.setattr("tests.support.runs.history", history)

    async def main(bench: Bench) -> None:
        assert (await bench.ask()).text == "Yes."
        assert len(asked) == 4

    simulate(Played(says("Yes.")), main)


OUTAGE_S = 900.0
"""Longer than any of the usual clocks."""


@pytest.fixture
def outage(monkeypatch):
    """The history does not answer for OUTAGE_S; each look takes as long as a reader waits for it to catch up."""

    async def history(record: Record) -> Sequence[Message]:
        if asyncio.get_running_loop().time() < CLOCK_START_S + OUTAGE_S:
            await asyncio.sleep(10)
            raise Unavailable("the history did not answer in time")
        return [Message("user", "Well?")]

    monkeypatch.setattr("tests.support.runs.history", history)


@pytest.mark.usefixtures("outage")
def test_no_clock_runs_while_the_history_is_waited_for():
    """An outage of the history is not the agent's time: the answer comes after it, and then the clocks run as ever."""

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        assert (await bench.sealed(key)).text == "Yes."
        assert (await bench.account(key)).running_ms == 2000
        late = await bench.submit()
        began = bench.sim.time()
        outcome = (await bench.sealed(late)).outcome
        assert isinstance(outcome, ev.TimedOut)
        assert outcome.code == "first_output"
        assert 60 <= bench.sim.time() - began < 61

    simulate(Played(says(2, "Yes."), says(500)), main)


@pytest.mark.usefixtures("outage")
def test_a_later_term_does_not_count_the_wait_for_the_history():
    """Whoever takes the request over after a crash has the whole of `total_s` but what the agent itself has run, and waits
    for the history as well."""

    class Crashing(MemoryStore):
        """Whoever ends early leaves no word."""

        async def claim(self) -> Claim | None:
            claim = await super().claim()
            return claim and (claim._replace(how="recovered") if claim.how == "handed_over" else claim)

        async def account(self, key: Key, account: Account) -> None:
            if account.reason != "handed_over":
                await super().account(key, account)

    async def crash(bench: Bench) -> None:
        await bench.runner.drain(0)
        await bench.another_runner().start()

    agent = Played(says("Yes, ", 100), says(30, "no."))

    async def main(sim: SimLoop) -> None:
        store = Crashing(now_ms=sim.now_ms, nonce=lambda: "abcdef01")
        async with Bench(sim, agent, store) as bench:
            key = await bench.submit()
            await asyncio.sleep(200)
            await crash(bench)
            await asyncio.sleep(OUTAGE_S - 150)
            assert (await bench.log(key)).fold().transcript().text == "Yes, "
            await crash(bench)
            assert (await bench.sealed(key)).text == "no."

    sim = SimLoop(1)
    sim.run(main(sim))
    assert [context.attempt for context in agent.contexts] == [2, 3]


@pytest.mark.usefixtures("outage")
def test_a_cancel_while_the_history_is_waited_for_is_done_at_once():
    """Whoever stops it need not wait for the history, and the agent is never asked."""
    agent = Played(says("Never."))

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(133)
        await cancel(bench, key)
        began = bench.sim.time()
        assert (await bench.sealed(key)).status == "cancelled"
        assert bench.sim.time() - began < 0.1
        assert agent.contexts == []

    simulate(agent, main)


def test_a_store_that_takes_nothing_is_no_silence_of_the_agent(monkeypatch):
    """Where a run waits until its log is written, as between two attempts, the clocks for output rest."""

    async def main(bench: Bench) -> None:
        key = await bench.submit()
        await asyncio.sleep(1)
        (run,) = bench.runner._runs.values()
        flush = run._writer.flush

        async def slow() -> None:
            await asyncio.sleep(300)
            await flush()

        monkeypatch.setattr(run._writer, "flush", slow)
        assert (await bench.sealed(key)).text == "Yes."

    clocks = Clocks(first_output_s=60, stall_s=90, total_s=None)
    simulate(Played(says("x", 2, BUSY), says("Yes."), clocks=clocks), main)


def test_a_question_that_is_gone_fails_its_request(monkeypatch):
    """A request whose question cannot be read any more gets an outcome that says so."""

    async def history(record: Record) -> Sequence[Message]:
        raise UnknownRequest("deleted")

    monkeypatch.setattr("tests.support.runs.history", history)

    async def main(bench: Bench) -> None:
        transcript = await bench.ask()
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.code) == ("failed", "unknown_message")

    simulate(Played(says("Yes.")), main)


def test_an_agent_that_is_not_run_twice_is_not_run_before_the_log_says_so():
    """When such an agent is entered, its start is durable: after a crash from here on it is interrupted, not repeated."""
    shown: list[list[str]] = []

    async def main(bench: Bench) -> None:
        async def play(context: Context) -> AsyncIterator[Output]:
            log = bench.store.live(key)
            assert log is not None
            shown.append([ev.kind_of(event) for event in log.events])
            yield "Once."

        bench.agent._plays = (play,)
        key = await bench.submit()
        assert (await bench.sealed(key)).text == "Once."
        assert shown == [["accepted", "started"]]

    simulate(Played(says("Once."), recovery="interrupt"), main)


def test_a_cancel_between_claim_and_first_step_is_no_incident():
    """Whoever stops a request just after it was claimed has won, the agent is not asked, and nothing has failed."""

    class Overtaken(MemoryStore):
        async def claim(self) -> Claim | None:
            claim = await super().claim()
            if claim is not None:
                await self.seal(claim.log.key, ev.Cancelled(at=0, code="user"))
            return claim

    agent = Played(says("Never."))

    async def main(bench: Bench) -> None:
        transcript = await bench.ask()
        assert (transcript.status, transcript.text) == ("cancelled", "")
        assert agent.contexts == []

    sim = SimLoop(1)

    async def whole() -> None:
        async with Bench(sim, agent, Overtaken(now_ms=sim.now_ms, nonce=lambda: "abcdef01")) as bench:
            await main(bench)

    with structlog.testing.capture_logs() as logged:
        sim.run(whole())
    assert [line for line in logged if line["log_level"] == "error"] == []

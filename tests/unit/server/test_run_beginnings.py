"""The first steps of a run: what may go wrong between the claim and the agent's first output."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import structlog

from holdfast_protocol import events as ev
from holdfast_server.agents import Context, Message, Output
from holdfast_server.stores.base import Claim, Record, Unavailable, UnknownRequest
from holdfast_server.stores.memory import MemoryStore
from tests.support.runs import Bench, Played, says, simulate
from tests.support.simloop import SimLoop


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

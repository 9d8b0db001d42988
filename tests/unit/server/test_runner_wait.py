"""The runner: a request that waits for a person is entered again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from holdfast_protocol.transcript import WaitPart
from holdfast_server.agents import (
    Context,
    Output,
    ToolCallBegin,
    ToolReady,
    Wait,
)
from holdfast_server.stores.base import InboxItem, Key
from tests.support.runs import BUSY, Bench, Played, cancel, says, simulate, starts


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

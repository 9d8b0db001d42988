"""The runner: slots, drain, recovery, and stores that fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog

from holdfast_protocol import events as ev
from holdfast_protocol.errors import IllegalEvent
from holdfast_server.agents import (
    Context,
    Output,
    Text,
    Wait,
)
from holdfast_server.attempts import Attempts
from holdfast_server.stores.base import Claim, Fenced, Unavailable
from holdfast_server.stores.memory import MemoryStore
from holdfast_server.stores.stage import Stage
from tests.support.runs import Bench, Played, cancel, says, simulate, starts
from tests.support.simloop import SimLoop


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


class Crashing(MemoryStore):
    """What was handed over looks as if its node had died."""

    async def claim(self) -> Claim | None:
        claim = await super().claim()
        return claim and (claim._replace(how="recovered") if claim.how == "handed_over" else claim)


def test_what_another_node_lost_is_one_line():
    """Where nodes share a store, taking an answer over is told by its id, term and attempt, without a word of it."""

    async def main(sim: SimLoop) -> None:
        store = Crashing(now_ms=sim.now_ms, nonce=lambda: "abcdef01")
        async with Bench(sim, Played(says("secret", 50)), store, shared=True) as bench:
            key = await bench.submit("secret")
            await asyncio.sleep(1)
            await bench.runner.drain(0)
            with structlog.testing.capture_logs() as lines:
                await bench.another_runner().start()
                await bench.sealed(key)
        told = {
            "event": "an answer is taken over",
            "log_level": "info",
            "request_id": "r1",
            "term": 2,
            "attempt": 2,
        }
        assert lines == [told]

    sim = SimLoop(1)
    sim.run(main(sim))


def test_a_crash_is_a_new_attempt_until_it_happened_too_often():
    """A recovered request is told to its readers as a new attempt; beyond the budget it ends as interrupted."""

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


@pytest.mark.parametrize("error", [IllegalEvent("out of step"), RuntimeError("a bug")])
def test_a_writer_out_of_step_with_its_journal_fails_its_request(error: Exception, monkeypatch: Any):
    """What was put does not fit the journal, which only a bug of ours can do: the request fails at once and does not run
    until a restart, and the next one is answered."""
    append = Stage.append

    def refusing(self: Stage, log: Any, term: int, events: Any) -> None:
        if log.key.request_id == "r1" and any(isinstance(event, ev.Delta) for event in events):
            raise error
        append(self, log, term, events)

    monkeypatch.setattr(Stage, "append", refusing)

    async def main(bench: Bench) -> None:
        async with asyncio.timeout(5):
            transcript = await bench.ask()
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.code) == ("failed", "internal")
        assert (await bench.ask()).text == "ab"

    simulate(Played(says("a", 1, "b")), main)


def test_a_failure_that_cannot_be_written_down_is_one_all_the_same(monkeypatch: Any):
    """The agent fails, and so does what writes that down: the request has its outcome."""

    def broken(self: Attempts, outcome: ev.Outcome) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Attempts, "ended", broken)

    async def main(bench: Bench) -> None:
        async with asyncio.timeout(5):
            transcript = await bench.ask()
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.code) == ("failed", "internal")

    simulate(Played(says("a", RuntimeError("a bug"))), main)

"""The clocks of a run, and what ends by the wall clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from holdfast_protocol.commands import Deadlines
from holdfast_protocol.events import TimedOut
from holdfast_server.agents import AgentFailure, Clocks, Step, ToolCallBegin, ToolOutput, ToolReady, Wait
from holdfast_server.deadlines import Due, RunClock, lowered
from tests.support.runs import Bench, Play, Played, says, simulate
from tests.support.simloop import SimLoop

many: list[float | str] = [3, "x"] * 50
CLOCKS = Clocks(first_output_s=10, stall_s=5, total_s=100)


def test_a_request_lowers_clocks_and_never_raises_them():
    """What a request asks for is cut to the agent's own limit; where the agent has none, it holds."""
    wanted = Deadlines(first_output_s=3, stall_s=50, queue_s=7)
    assert lowered(CLOCKS, wanted) == Clocks(first_output_s=3, stall_s=5, total_s=100, queue_s=7)


@pytest.mark.parametrize(
    ("script", "when", "code"),
    [
        ([], 10, "first_output"),
        ([(4, "output")], 9, "stall"),
        ([(4, "output"), (4, "output"), (4, "output")], 17, "stall"),
        ([(4, "output"), (1, "rest"), (20, "go_on")], 29, "stall"),
        ([(4, "output"), (1, "rest"), (20, "output"), (20, "go_on")], 50, "stall"),
        ([(2, "rest"), (20, "go_on")], 30, "first_output"),
        ([(4, "output"), (1, "rest")], 100, "total"),
        ([(4, "output"), (1, "attempt")], 15, "first_output"),
    ],
)
def test_each_clock_runs_when_it_should(script: list[tuple[float, str]], when: float, code: str):
    """First output and stall run per attempt and rest on demand; total never rests; the first to end is told, once."""

    async def main() -> tuple[float, str]:
        loop = asyncio.get_running_loop()
        start, ended = loop.time(), loop.create_future()
        clock = RunClock(CLOCKS, 0.0, lambda due: ended.set_result((loop.time() - start, due.code)))
        for wait_s, verb in script:
            await asyncio.sleep(wait_s)
            getattr(clock, verb)(*(["x"] if verb in ("rest", "go_on") else []))
        result: tuple[float, str] = await ended
        return result

    ended_at, ended_by = SimLoop(1).run(main())
    assert (round(ended_at, 3), ended_by) == (when, code)


def test_total_counts_what_earlier_terms_ran():
    """Running time adds up over terms; a stopped clock tells nothing any more."""

    async def main() -> list[tuple[float, Due]]:
        loop = asyncio.get_running_loop()
        start = loop.time()
        ended: list[tuple[float, Due]] = []
        RunClock(Clocks(None, None, 100, None), 95.0, lambda due: ended.append((loop.time() - start, due)))
        stopped = RunClock(CLOCKS, 0.0, lambda due: ended.append((0, due)))
        stopped.stop()
        await asyncio.sleep(500)
        return ended

    ((ended_at, due),) = SimLoop(1).run(main())
    assert (ended_at, due.code, due.limit_s) == (5, "total", 100)


def test_output_moves_no_timer():
    """A token costs no timer: while output flows, at most one timer per stall period is set."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        timers: list[float] = []
        call_at = loop.call_at

        def counted(when: float, *args: object, **more: object) -> asyncio.TimerHandle:
            timers.append(when)
            return call_at(when, *args, **more)  # type: ignore[arg-type]

        clock = RunClock(CLOCKS, 0.0, lambda _: None)
        loop.call_at = counted  # type: ignore[method-assign]
        for _ in range(1000):
            clock.output()
        set_by_output = len(timers)
        clock.stop()
        return set_by_output

    assert SimLoop(1).run(main()) <= 1


def ended(bench: Bench, **more: object) -> Awaitable[tuple[str, str, float]]:
    async def ask() -> tuple[str, str, float]:
        start = bench.sim.time()
        key = await bench.submit(**more)  # type: ignore[arg-type]
        await (await bench.log(key)).wait_sealed()
        took = bench.sim.time() - start
        transcript = await bench.sealed(key)
        assert isinstance(transcript.outcome, TimedOut), transcript.outcome
        assert transcript.outcome.message.endswith(".")
        return transcript.outcome.code, transcript.text, round(took, 3)

    return ask()


@pytest.mark.parametrize(
    ("play", "deadlines", "expected"),
    [
        (says(500), Deadlines(), ("first_output", "", 10)),
        (says(500), Deadlines(first_output_s=2), ("first_output", "", 2)),
        (says("a", 500), Deadlines(), ("stall", "a", 5)),
        (says("a", 4, "b", 4, "c", 500), Deadlines(), ("stall", "abc", 13)),
        (says("a", *many), Deadlines(total_s=10), ("total", "axxx", 10)),
        (
            says(ToolCallBegin("1", "f"), ToolReady("1"), 60, ToolOutput("1", "r"), "a", 500),
            Deadlines(),
            ("stall", "a", 65),
        ),
        (says(ToolCallBegin("1", "f", where="client"), ToolReady("1"), 60), Deadlines(), ("stall", "", 5)),
    ],
)
def test_a_run_out_clock_ends_the_request(play: Play, deadlines: Deadlines, expected: tuple[str, str, float]):
    """Each clock ends the request as timed_out with its own code; what was shown stands; a server's tool has its own time."""
    agent = Played(play, clocks=CLOCKS)
    assert simulate(agent, lambda bench: ended(bench, deadlines=deadlines)) == expected  # type: ignore[arg-type, return-value]


def test_an_announced_wait_stops_the_clocks_and_a_guessed_one_does_not():
    """Retry-After may be longer than the first output's deadline; total still counts it."""
    busy = AgentFailure("busy", "Busy.", retryable=True, retry_after_s=30)
    fine = Played(says(busy), says("good"), clocks=CLOCKS)
    assert simulate(fine, lambda bench: bench.ask()).text == "good"
    late = Played(says(busy), says(500), clocks=Clocks(10, 5, 25, None))
    assert simulate(late, ended)[0] == "total"  # type: ignore[arg-type]


def test_the_runners_own_steps_are_no_output():
    """A step that the runner writes does not count as the agent's first output; one of the agent's does."""
    assert simulate(Played(says(500), clocks=CLOCKS), ended, narrate=True)[0] == "first_output"  # type: ignore[arg-type]
    assert simulate(Played(says(Step("s", "l"), 500), clocks=CLOCKS), ended)[0] == "stall"  # type: ignore[arg-type]


def test_a_request_that_is_not_claimed_in_time_ends():
    """queue_s runs from acceptance to the first claim, and ends a request that no slot was free for."""

    async def main(bench: Bench) -> tuple[tuple[str, str, float], str]:
        first = await bench.submit("first")
        late = await ended(bench, deadlines=Deadlines(queue_s=3))
        return late, (await bench.sealed(first)).status

    late, first = simulate(Played(says(8, "done"), clocks=CLOCKS), main, slots=1)
    assert late[0] == "queue"
    assert 3 <= late[2] <= 4
    assert first == "completed"


def test_time_decides_a_wait_that_has_an_end():
    """An undecided wait expires within a second of its end, and the agent goes on knowing so."""
    agent = Played(says("May I?", Wait("w", "approval", expires_in_s=3600)), says(" No."), clocks=CLOCKS)

    async def main(bench: Bench) -> tuple[str, str, float]:
        start = bench.sim.time()
        transcript = await bench.ask()
        return transcript.text, transcript.parts[1].state, bench.sim.time() - start  # type: ignore[union-attr]

    sim = SimLoop(1, virtual_s_max=10_000)

    async def whole() -> tuple[str, str, float]:
        async with Bench(sim, agent) as bench:
            return await main(bench)

    text, state, took = sim.run(whole())
    assert (text, state) == ("May I? No.", "expired")
    assert 3600 <= took <= 3602

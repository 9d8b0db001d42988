"""Simulated processes can be killed: nothing of them runs again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.simloop import Deadlock, SimLoop

SEEDS = range(50)

SEEDS = range(50)


def test_a_killed_process_never_runs_again():
    """After a kill no task, timer, callback or `finally` of the process runs; its neighbours go on.

    Mutant seen red: `kill` that cancels.
    """
    sim = SimLoop(1)
    ran: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            while True:
                await asyncio.sleep(1)
                yield 1
        finally:
            ran.append("generator's finally")

    async def serve(name: str) -> None:
        asyncio.get_running_loop().call_later(5, ran.append, f"{name} timer")
        child = asyncio.create_task(asyncio.sleep(5))
        child.add_done_callback(lambda _: ran.append(f"{name} callback"))
        try:
            async for number in numbers():
                assert number == 1
                ran.append(name)
        finally:
            ran.append(f"{name} finally")

    async def main() -> None:
        one, two = sim.process("one"), sim.process("two")
        one.start(serve("one"))
        two.start(serve("two"))
        await asyncio.sleep(2.5)
        one.kill()
        one.kill()
        seen = len(ran)
        await asyncio.sleep(10)
        assert not [entry for entry in ran[seen:] if entry.startswith(("one", "generator"))]
        assert {"two", "two timer", "two callback"} <= set(ran[seen:])
        with pytest.raises(RuntimeError, match="dead"):
            one.start(serve("again"))

    sim.run(main())


def test_a_killed_process_hides_no_deadlock():
    """Whoever waits for a killed process is told so, though that process had timers set."""
    sim = SimLoop(1)

    async def main() -> None:
        process = sim.process("node")
        task = process.start(asyncio.sleep(100))
        await asyncio.sleep(1)
        process.kill()
        await task

    start_s = sim.time()
    with pytest.raises(Deadlock):
        sim.run(main())
    assert sim.time() == start_s + 1


@pytest.mark.parametrize("seed", range(10))
def test_a_kill_catches_what_was_ready_to_run(seed: int):
    """Neither a task about to run nor one that is woken after the kill runs another line, its `finally` included.

    Mutants seen red: `_is_dead` that is never true for ready handles; tasks of processes held weakly.
    """
    sim = SimLoop(seed)
    ran: list[str] = []

    async def spin() -> None:
        try:
            while True:  # noqa: ASYNC110  # to be ready to run at any time
                await asyncio.sleep(0)
        finally:
            ran.append("spin")

    async def wait(event: asyncio.Event) -> None:
        await event.wait()
        ran.append("wait")

    async def main() -> None:
        process, event = sim.process("node"), asyncio.Event()
        process.start(spin())
        process.start(wait(event))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        process.kill()
        event.set()
        await asyncio.sleep(1)
        assert not ran

    sim.run(main())


def test_recorded_lines_tell_the_run():
    """A recorded run lists its steps with virtual time, turn and task."""
    sim = SimLoop(0, record=True)

    async def main() -> None:
        await asyncio.sleep(0.25)

    sim.run(main())
    assert sim.lines is not None
    assert sim.lines[0] == "0.000000 turn 1: main"
    assert "0.250000 turn 3: main" in sim.lines

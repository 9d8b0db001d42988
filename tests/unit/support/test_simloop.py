"""The simulated loop is a lawful asyncio loop, repeats itself by seed, and names what went wrong."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.simloop import SimLoop

SEEDS = range(50)
ROOT = Path(__file__).parents[3]


async def busy_scenario() -> list[int]:
    """A bit of everything whose order the seed decides: tasks, a queue, timers, a group that is aborted."""
    queue: asyncio.Queue[int] = asyncio.Queue(2)
    got: list[int] = []

    async def produce(base: int) -> None:
        for n in range(4):
            await queue.put(base + n)
            await asyncio.sleep(0.01 * n)

    async def consume() -> None:
        while True:
            got.append(await queue.get())
            queue.task_done()

    async def fail() -> None:
        await asyncio.sleep(0.02)
        raise ValueError

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(consume()) for _ in range(3)]
        async with asyncio.TaskGroup() as producers:
            for base in (0, 100, 200):
                producers.create_task(produce(base))
        await queue.join()
        for reader in readers:
            reader.cancel()

    async def aborted_group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            for n in range(5):
                group.create_task(asyncio.sleep(1 + n))

    with pytest.raises(ExceptionGroup):
        await aborted_group()
    return got


def traced(seed: int, *, shuffle: bool = True) -> tuple[int, int, list[int]]:
    sim = SimLoop(seed, shuffle)
    got = sim.run(busy_scenario())
    return sim.trace, sim.turns, got


# One seed is one run


def test_a_seed_repeats_its_run():
    """The same seed gives the same steps in the same order at the same times.

    Mutants seen red: tasks that hash by address; `roll` from the global dice.
    """
    for seed in SEEDS:
        keep = [object() for _ in range(seed)]  # other addresses than before
        assert traced(seed) == traced(seed)
        del keep


def test_seeds_differ():
    """Different seeds give many different runs, and asyncio's own order is always one run."""
    assert len({traced(seed)[0] for seed in SEEDS}) > len(SEEDS) * 0.9
    assert len({tuple(traced(seed)[2]) for seed in SEEDS}) > 5
    assert len({str(traced(seed, shuffle=False)) for seed in SEEDS}) == 1


def test_a_seed_repeats_in_another_process():
    """A seed found by one process is the same run in another, whatever that one's string hashes are."""
    code = "from tests.unit.support.test_simloop import traced; print([traced(s)[:2] for s in range(5)])"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert outputs == {f"{[traced(s)[:2] for s in range(5)]}\n".encode()}


def test_named_dice_are_apart():
    """A named stream repeats by seed and name, and another name's draws do not move it."""
    sim = SimLoop(7)
    first = sim.dice("a")
    sim.dice("b").random()
    assert first.random() == SimLoop(7).dice("a").random() != sim.dice("b").random()


# What may be shuffled and what may not


def order_of_tasks(seed: int, *, shuffle: bool = True) -> str:
    ran: list[str] = []

    async def step(name: str) -> None:
        ran.append(name)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for name in "abcd":
                group.create_task(step(name))

    SimLoop(seed, shuffle).run(main())
    return "".join(ran)


def test_tasks_run_in_every_order():
    """Every order of four ready tasks comes up, and without the shuffle only asyncio's own."""
    assert len({order_of_tasks(seed) for seed in range(400)}) == 24
    assert {order_of_tasks(seed, shuffle=False) for seed in SEEDS} == {"abcd"}


def test_plain_callbacks_keep_their_order():
    """`call_soon` callbacks run first in, first out among themselves, with tasks at any place between them.

    Mutant seen red: `_is_plain` that is never true.
    """

    def run(seed: int) -> str:
        ran: list[str] = []

        async def step() -> None:
            ran.append("T")

        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.call_soon(ran.append, "1")
            task = loop.create_task(step())
            loop.call_soon(ran.append, "2")
            loop.call_soon(ran.append, "3")
            await task
            await asyncio.sleep(0)

        SimLoop(seed).run(main())
        return "".join(ran)

    found = {run(seed) for seed in SEEDS}
    assert found == {"T123", "1T23", "12T3", "123T"}


def test_timers_due_together_run_in_any_order():
    """Timers for the same time have no order, timers for different times always have theirs."""

    def run(seed: int) -> str:
        ran: list[str] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            for name, delay_s in (("a", 1.0), ("b", 1.0), ("z", 2.0), ("y", 1.5)):
                loop.call_later(delay_s, ran.append, name)
            await asyncio.sleep(3)

        SimLoop(seed).run(main())
        return "".join(ran)

    assert {run(seed) for seed in SEEDS} == {"abyz", "bayz"}


# Clocks


def test_time_jumps_to_the_next_timer_and_no_further():
    """A wait takes no real time, exactly its virtual time, and moves the wall clock along."""
    sim = SimLoop(0)

    async def main() -> None:
        start_s, start_ms = sim.time(), sim.now_ms()
        await asyncio.sleep(600)
        assert sim.time() == start_s + 600
        assert sim.now_ms() == start_ms + 600_000
        for _ in range(10):
            await asyncio.sleep(0)
        assert sim.time() == start_s + 600

    sim.run(main())


def test_the_wall_clock_may_jump_alone():
    """A jump of the wall clock changes dates and neither `time()` nor any timer."""
    sim = SimLoop(0)

    async def main() -> None:
        before_s, before_ms = sim.time(), sim.now_ms()
        sim.shift_wall(-7_200_000)
        await asyncio.sleep(1)
        assert sim.time() == before_s + 1
        assert sim.now_ms() == before_ms - 7_199_000

    sim.run(main())


def test_idle_comes_before_the_clock_moves():
    """`idle` returns when all others are blocked, before any timer is due."""
    sim = SimLoop(3)
    got: list[int] = []

    async def long_way() -> None:
        for n in range(20):
            await asyncio.sleep(0)
            got.append(n)
        await asyncio.sleep(5)
        got.append(-1)

    async def main() -> None:
        start_s = sim.time()
        task = asyncio.create_task(long_way())
        await sim.idle()
        assert (got, sim.time()) == (list(range(20)), start_s)
        await task

    sim.run(main())


# asyncio's own pieces


def test_asyncio_pieces_work():
    """Timeouts, groups, events, gather, wait, wait_for, conditions and shields behave as on any loop."""

    async def main() -> str:
        loop = asyncio.get_running_loop()
        event, condition = asyncio.Event(), asyncio.Condition()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await event.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(event.wait(), 1)
        loop.call_later(1, event.set)
        assert await asyncio.wait_for(event.wait(), 2)
        assert await asyncio.gather(*(asyncio.sleep(n % 3, n) for n in range(6))) == list(range(6))
        tasks = {asyncio.create_task(asyncio.sleep(n, n)) for n in range(1, 4)}
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {1}
        assert [await first for first in asyncio.as_completed(rest)] == [2, 3]

        async def notify() -> None:
            async with condition:
                condition.notify_all()

        async with asyncio.TaskGroup() as group, condition:
            group.create_task(notify())
            await condition.wait()
        inner = asyncio.create_task(asyncio.sleep(1, "kept"))
        outer = asyncio.ensure_future(asyncio.shield(inner))
        await asyncio.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        return await inner

    for seed in SEEDS:
        assert SimLoop(seed).run(main()) == "kept"


def test_async_generators_are_closed():
    """A generator left half-way is closed at the end of the run, in the order of creation."""
    closed: list[int] = []

    async def numbers(name: int) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(name)
            await asyncio.sleep(0.1)

    kept = []

    async def main() -> None:
        for name in range(5):
            generator = numbers(name)
            kept.append(generator)
            assert await anext(generator) == 1

    SimLoop(0, shuffle=False).run(main())
    assert closed == [0, 1, 2, 3, 4]


def test_left_over_tasks_are_cancelled_and_named():
    """What still runs when the main coroutine ends is cancelled, may clean up, and is told by name."""
    sim = SimLoop(0)
    cleaned: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            cleaned.append("yes")

    async def main() -> None:
        sim.create_task(endless(), name="pump")
        await asyncio.sleep(0)

    sim.run(main())
    assert (sim.leftover, cleaned) == (["pump"], ["yes"])


# How a run fails

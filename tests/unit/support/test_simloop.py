"""The simulated loop is a lawful asyncio loop, repeats itself by seed, and names what went wrong."""

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.simloop import Deadlock, Livelock, LoopError, NotSimulated, RunErrors, SimLoop

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


def test_deadlock_says_who_waits_where():
    """A run that cannot go on ends at once, with each task's name and the place of its wait."""

    async def numbers() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 1

    async def reader() -> None:
        async for _ in numbers():
            pass

    async def main() -> None:
        async with asyncio.timeout(5):  # its timer is cancelled, and hides nothing
            await asyncio.sleep(0)
        task = asyncio.create_task(reader(), name="reader-1")
        await task

    sim = SimLoop(5)
    start_s = sim.time()
    with pytest.raises(Deadlock) as caught:
        sim.run(main())
    assert sim.time() == start_s
    text = str(caught.value)
    assert "seed 5" in text
    assert "task 'main'" in text
    assert "for task 'reader-1'" in text
    assert "test_deadlock_says_who_waits_where.<locals>.numbers" in text
    assert "Event.wait" in text


def test_deadlock_tells_the_failure_behind_it():
    """Where somebody waits for a task that has failed, the deadlock names that failure."""

    async def worker() -> None:
        raise ValueError("worker broke")

    async def main() -> None:
        task = asyncio.create_task(worker())
        await asyncio.Event().wait()
        await task

    with pytest.raises(Deadlock, match="worker broke"):
        SimLoop(0).run(main())


def test_livelock_by_turns_and_by_time():
    """A run that spins, and one that only lets time pass, end at their limits."""

    async def spin() -> None:
        while True:  # noqa: ASYNC110  # the fault that is to be found
            await asyncio.sleep(0)

    async def tick() -> None:
        while True:  # noqa: ASYNC110  # the fault that is to be found
            await asyncio.sleep(1)

    with pytest.raises(Livelock, match="500 turns"):
        SimLoop(0, turns_max=500).run(spin())
    with pytest.raises(Livelock, match="after 30 s"):
        SimLoop(0, virtual_s_max=30).run(tick())


def test_main_errors_pass_through():
    """What the main coroutine raises is what `run` raises."""

    async def main() -> None:
        raise KeyError("main")

    with pytest.raises(KeyError, match="main"):
        SimLoop(0).run(main())


@pytest.mark.parametrize("held", [True, False])
def test_unseen_task_errors_fail_the_run(held: bool):
    """A task that failed and was never awaited fails the run, whether or not anybody still holds it."""
    tasks = []

    async def worker() -> None:
        raise ValueError("unseen")

    async def main() -> None:
        task = asyncio.create_task(worker())
        if held:
            tasks.append(task)
        del task
        await asyncio.sleep(1)

    with pytest.raises(RunErrors) as caught:
        SimLoop(0).run(main())
    assert [str(error) for error in caught.value.exceptions] == ["unseen"]


def test_unseen_callback_and_cleanup_errors_fail_the_run():
    """Errors in callbacks and in the clean-up of left-over tasks fail the run, each once."""

    async def bad_cleanup() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("cleanup")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: 1 // 0)
        task = loop.create_task(bad_cleanup())
        await asyncio.sleep(1)
        assert not task.done()

    with pytest.raises(RunErrors) as caught:
        SimLoop(0).run(main())
    assert sorted(type(error).__name__ for error in caught.value.exceptions) == [
        "ValueError",
        "ZeroDivisionError",
    ]


def test_unseen_errors_are_notes_beside_a_failure():
    """Where the main coroutine failed too, its error is raised and the others are noted on it."""

    async def worker() -> None:
        raise ValueError("worker broke")

    async def main() -> None:
        task = asyncio.create_task(worker())
        await asyncio.sleep(1)
        assert task.done()
        raise KeyError("main")

    with pytest.raises(KeyError) as caught:
        SimLoop(0).run(main())
    assert "worker broke" in "".join(caught.value.__notes__)


def test_reports_without_an_exception_fail_the_run():
    """A fault that asyncio only describes becomes an error with that description."""

    async def main() -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "lost something"})

    with pytest.raises(RunErrors) as caught:
        SimLoop(0).run(main())
    assert isinstance(caught.value.exceptions[0], LoopError)


def test_the_outside_is_refused():
    """Threads, sockets, signals and processes are refused by name, at the call."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(NotSimulated, match="run_in_executor"):
            await asyncio.to_thread(print)
        with pytest.raises(NotSimulated, match="create_connection"):
            await asyncio.open_connection("127.0.0.1", 1)
        with pytest.raises(NotSimulated, match="create_server"):
            await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
        with pytest.raises(NotSimulated, match="add_signal_handler"):
            loop.add_signal_handler(15, print)
        with pytest.raises(NotSimulated, match="subprocess_exec"):
            await asyncio.create_subprocess_exec("true")
        caught: list[type[BaseException]] = []

        def outside() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except NotSimulated as error:
                caught.append(type(error))

        thread = threading.Thread(target=outside)
        thread.start()
        thread.join()
        assert caught == [NotSimulated]

    SimLoop(0).run(main())


def test_a_loop_runs_once():
    """A second run on the same loop is refused: its clock and numbers are used up."""
    sim = SimLoop(0)
    sim.run(asyncio.sleep(0))
    with pytest.raises(RuntimeError, match="runs once"):
        sim.run(asyncio.sleep(0))


def test_a_left_over_task_that_will_not_end_is_named():
    """A task that swallows its cancellation fails the run by name, though the main coroutine went well."""

    async def stubborn() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    sim = SimLoop(0)

    async def main() -> None:
        sim.create_task(stubborn(), name="stubborn")
        await asyncio.sleep(0.1)

    with pytest.raises(Deadlock, match="task 'stubborn'"):
        sim.run(main())


def test_a_run_leaves_nothing_behind():
    """After a run, even a failed one, the collector is on again, no loop is running, and nothing warns later."""

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        task = asyncio.create_task(stubborn())
        await task

    with pytest.raises(Deadlock):
        SimLoop(0).run(main())
    gc.collect()  # warnings are errors here
    assert gc.isenabled()
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


# Processes that die


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

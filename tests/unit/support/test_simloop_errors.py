"""The simulated loop names what went wrong: deadlocks, livelocks, failures that nobody looked at."""

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator

import pytest

from tests.support.simloop import Deadlock, Livelock, LoopError, NotSimulated, RunErrors, SimLoop

SEEDS = range(50)

SEEDS = range(50)


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

"""Tasks have names and owners, and what they raise is seen."""

import asyncio

import structlog

from holdfast_server.tasks import Tasks


async def test_a_task_is_named_and_held_until_it_ends():
    """The group counts what runs."""
    tasks = Tasks("owner")
    release = asyncio.Event()
    task = tasks.start(release.wait(), "waits")
    assert task.get_name() == "owner:waits"
    assert len(tasks) == 1
    release.set()
    await task
    await asyncio.sleep(0)
    assert len(tasks) == 0


async def test_what_a_task_raises_is_logged():
    """No exception is lost."""

    async def fails():
        raise RuntimeError("seen")

    tasks = Tasks("owner")
    with structlog.testing.capture_logs() as logs:
        task = tasks.start(fails(), "fails")
        await asyncio.wait([task])
        await asyncio.sleep(0)
    assert [entry["task"] for entry in logs] == ["owner:fails"]


async def test_close_ends_them_all():
    """Nothing of the group runs on."""
    tasks = Tasks("owner")
    running = [tasks.start(asyncio.Event().wait(), str(i)) for i in range(3)]
    await tasks.close()
    assert all(task.cancelled() for task in running)
    assert len(tasks) == 0

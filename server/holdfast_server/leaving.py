"""How a server's process ends though code of an agent's goes on: what does not end within a moment is named and abandoned.

Python itself waits for every task, thread and process of its own before it may end, for ever if need be. When a node has stopped,
all that it promised is on the disk and nobody is served any more, so nothing is gained by that wait, and a supervisor
would take the process for one that hangs.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import thread as thread_pools
from typing import Any, Final

import structlog

from .tasks import Tasks

log = structlog.get_logger(__name__)

LEAVE_S: Final = 2.0
"""How long what is left may take to end: it was cancelled long before, and what only has to close something has done so."""

LOOK_S: Final = 0.02
"""Between two looks at threads: nobody tells when they are idle."""

NAMED_MAX: Final = 8
"""Of what is abandoned so many are named."""

POOL: Final = ("_worker", thread_pools.__file__)
"""Where a thread of a pool stands while it has no work: it ends when the interpreter does."""


async def left_behind(earlier: Iterable[threading.Thread], wait_s: float = LEAVE_S) -> list[str]:
    """Cancel every other task of this loop, and wait at most `wait_s` for them, for the threads that began after the
    `earlier` ones, and for processes of `multiprocessing`; the names of what still goes on then, the first few of them. With
    none the process can end by itself."""
    clock = asyncio.get_running_loop().time
    until = clock() + wait_s
    tasks = asyncio.all_tasks() - {task for task in [asyncio.current_task()] if task is not None}
    for task in tasks:
        task.cancel()
    if tasks:
        _, tasks = await asyncio.wait(tasks, timeout=wait_s)
    if not tasks:
        # Generators that nobody ended are closed as `asyncio.run` would do it, which has no end to its patience.
        closing = asyncio.get_running_loop().shutdown_asyncgens()
        tasks = {Tasks("leaving").start(closing, "closing what agents began")}
        _, tasks = await asyncio.wait(tasks, timeout=max(0.0, until - clock()))
    names = sorted(task.get_name() for task in tasks)
    _end_pools()
    while (busy := [*_busy(earlier), *_children()]) and clock() < until:  # noqa: ASYNC110 - they set no event of ours
        await asyncio.sleep(LOOK_S)
    names += sorted(
        f"{'thread' if isinstance(one, threading.Thread) else 'process'} {one.name}" for one in busy
    )
    return names if len(names) <= NAMED_MAX else [*names[:NAMED_MAX], f"{len(names) - NAMED_MAX} more"]


def abandon(left: Iterable[str]) -> None:
    """End this process with 0 at once, though this still goes on in it. Only for a program whose all this is."""
    try:
        log.warning("what an agent left running is abandoned", left=list(left))
    finally:
        _exit(0)


def refused(status: int, earlier: Iterable[threading.Thread]) -> int:
    """The same for a start that failed, and whose reason was told: `status`, if nothing keeps the process from ending with it."""
    if _busy(earlier) or _children():
        _exit(status)
    return status


def _exit(status: int) -> None:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        # They would live on with our port and our lock, which they have from us. A signal that asks is not enough: what was
        # forked has our handler, of a loop that does not turn there.
        for child in _children():
            child.kill()
        os._exit(status)


def _end_pools() -> None:
    """Tell pools of processes that nothing will be asked of them any more, as the interpreter does at its end."""
    module = sys.modules.get("concurrent.futures.process")
    if module is None:
        return
    kind = getattr(module, "_ExecutorManagerThread", ())  # nobody else knows the pools that there are
    for thread in threading.enumerate():
        if isinstance(thread, kind):
            pool = thread.executor_reference()
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)


def _children() -> list[Any]:
    """Processes of `multiprocessing` that agents began and that still run."""
    module = sys.modules.get("multiprocessing")
    return [] if module is None else list(module.active_children())


def _busy(earlier: Iterable[threading.Thread]) -> list[threading.Thread]:
    """Threads that began after these, and for which the interpreter would wait."""
    known = {*earlier, threading.current_thread()}
    frames = sys._current_frames()
    found = []
    for thread in threading.enumerate():
        if thread in known or thread.daemon:
            continue
        frame = frames.get(thread.ident or 0)
        if frame is None or (frame.f_code.co_name, frame.f_code.co_filename) != POOL:
            found.append(thread)
    return found

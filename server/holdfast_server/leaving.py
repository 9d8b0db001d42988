"""How a server's process ends though code of an agent's goes on: what does not end within a moment is named and abandoned.

Python itself waits for every task and every thread before a process may end, for ever if need be. When a node has stopped,
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
from typing import Final

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
    """Cancel every other task of this loop, and wait at most `wait_s` for them and for the threads that began after the
    `earlier` ones; the names of what still goes on then, the first few of them. With none the process can end by itself."""
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
    known = {*earlier, threading.current_thread()}
    while (busy := _busy(known)) and clock() < until:  # noqa: ASYNC110 - threads set no event of ours
        await asyncio.sleep(LOOK_S)
    names += sorted(f"thread {thread.name}" for thread in busy)
    return names if len(names) <= NAMED_MAX else [*names[:NAMED_MAX], f"{len(names) - NAMED_MAX} more"]


def abandon(left: Iterable[str]) -> None:
    """End this process with 0 at once, though this still goes on in it. Only for a program whose all this is."""
    try:
        log.warning("what an agent left running is abandoned", left=list(left))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(0)


def _busy(known: Iterable[threading.Thread]) -> list[threading.Thread]:
    """Threads for which the interpreter would wait."""
    frames = sys._current_frames()
    found = []
    for thread in threading.enumerate():
        if thread in known or thread.daemon:
            continue
        frame = frames.get(thread.ident or 0)
        if frame is None or (frame.f_code.co_name, frame.f_code.co_filename) != POOL:
            found.append(thread)
    return found

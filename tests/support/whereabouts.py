"""Says where a suspended task waits, so that a deadlock is a message one can act on.

A suspended task is a chain: a coroutine awaits a coroutine, which awaits an async generator, which awaits a
future or another task. Python shows each link but the last ones (the iterator of a future, the `anext` of a
generator); for those the garbage collector's view of what an object refers to is the only door.
"""

import asyncio
import gc
from collections.abc import Iterable
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType

LINKS_MAX = 50
"""Longest chain of awaits followed: deeper ones are cut, the message stays readable."""

_SUSPENDABLE = (CoroutineType, AsyncGeneratorType, GeneratorType)


def whereabouts(task: asyncio.Future[object]) -> str:
    """One line: the task's name, the files and functions it is suspended in, and what it waits for last."""
    name = _name(task)
    if not isinstance(task, asyncio.Task):
        return name
    frames: list[str] = []
    link: object = task.get_coro()
    for _ in range(LINKS_MAX):
        if link is None:
            break
        if isinstance(link, asyncio.Future):
            frames.append(f"for {_name(link)}" if isinstance(link, asyncio.Task) else "for a future")
            break
        frame = _frame(link)
        if frame is not None:
            code = frame.f_code
            frames.append(f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_qualname}")
        link = _awaited(link)
    return f"{name}: " + (" > ".join(frames) or "not started")


def listing(tasks: Iterable[asyncio.Future[object]], lines_max: int = 40) -> str:
    """The whereabouts of some tasks, one indented line each, at most `lines_max` of them."""
    lines = [f"  - {whereabouts(task)}" for task in tasks]
    if len(lines) > lines_max:
        lines[lines_max:] = [f"  - and {len(lines) - lines_max} more"]
    return "\n".join(lines) or "  (none)"


def _name(future: asyncio.Future[object]) -> str:
    return f"task {future.get_name()!r}" if isinstance(future, asyncio.Task) else "a future"


def _frame(link: object) -> FrameType | None:
    for attribute in ("cr_frame", "ag_frame", "gi_frame"):
        frame = getattr(link, attribute, None)
        if isinstance(frame, FrameType):
            return frame
    return None


def _awaited(link: object) -> object | None:
    for attribute in ("cr_await", "ag_await", "gi_yieldfrom"):
        if hasattr(link, attribute):
            found: object = getattr(link, attribute)
            return found
    # The iterator of a future and the steps of an async generator name nothing: ask the collector.
    for referent in gc.get_referents(link):
        if isinstance(referent, (*_SUSPENDABLE, asyncio.Future)):
            return referent
    return None

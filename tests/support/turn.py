"""The order inside one loop turn: shuffled as far as asyncio leaves it open, and no further."""

import asyncio
from collections import deque
from collections.abc import Callable

_TASK_VERBS = frozenset(name for name in dir(asyncio.Task) if not name.startswith("_"))


def reorder(ready: deque[asyncio.Handle], roll: Callable[[], float]) -> None:
    """Shuffles the handles of a turn in place, by `roll` (0 <= roll() < 1).

    Steps of tasks and due timers go anywhere; plain callbacks keep their order among themselves (`call_soon`
    promises first in, first out), whatever falls between them.
    """
    handles = list(ready)
    for last in range(len(handles) - 1, 0, -1):
        other = int(roll() * (last + 1))
        handles[last], handles[other] = handles[other], handles[last]
    in_order = iter([handle for handle in ready if _is_plain(handle)])
    ready.clear()
    ready.extend(next(in_order) if _is_plain(handle) else handle for handle in handles)


def _is_plain(handle: asyncio.Handle) -> bool:
    """Whether asyncio promises the handle its place: not a timer, not the step of a task."""
    if isinstance(handle, asyncio.TimerHandle):
        return False
    callback = handle._callback  # type: ignore[attr-defined]
    if not isinstance(getattr(callback, "__self__", None), asyncio.Task):
        return True
    return getattr(callback, "__name__", "") in _TASK_VERBS  # call_soon(task.cancel) is nobody's step

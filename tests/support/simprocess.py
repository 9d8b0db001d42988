"""A simulated operating-system process: what is started in it, and by that, can be killed at once.

Membership travels in a context variable: asyncio runs every task, timer and callback in the context in which
it was made, so whatever a process sets going, directly or not, carries the process with it.
"""

import asyncio
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")

_PROCESS: ContextVar["Process | None"] = ContextVar("simulated_process", default=None)


class Process:
    """Where a part of the system under test lives and dies. Restart means: a new one, over the same disk."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        self.name = name
        self.alive = True
        self._loop = loop
        self._context: Context = copy_context()
        self._context.run(_PROCESS.set, self)

    def start(self, coro: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
        """Runs a coroutine inside the process.

        The task of a killed process never ends: whoever awaits it from outside waits for ever, and is told so
        by `Deadlock`. Raises: RuntimeError where the process is dead already.
        """
        if not self.alive:
            coro.close()
            raise RuntimeError(f"process {self.name!r} is dead: make a new one")
        return self._loop.create_task(coro, name=name, context=self._context.copy())

    def kill(self) -> None:
        """Ends the process as SIGKILL does: before its next handle runs, and without any `finally`. Idempotent.

        Called from inside, the calling step itself still runs on to its next await.
        """
        self.alive = False


def current_process() -> Process | None:
    """The process that the running code is part of; None for the scenario itself."""
    return _PROCESS.get()


def process_in(context: Context) -> Process | None:
    """The process that code run in `context` is part of."""
    return context.get(_PROCESS)

"""Tasks and futures that hash by a number, so that a set of them is walked in the same order in every run.

asyncio keeps tasks and futures in sets (TaskGroup, wait), and the order of a set follows the hash: by address,
it would differ between two runs of one seed, and with it the order of cancellations and wake-ups.
"""

import asyncio
import weakref
from collections.abc import AsyncGenerator, Iterator
from typing import Any

from tests.support.simprocess import Process, current_process


class SimFuture(asyncio.Future[Any]):
    """A future that hashes by its number in the run."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop, number: int) -> None:
        self.number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


class SimTask(asyncio.Task[Any]):
    """A task that hashes by its number in the run, and knows the simulated process it is part of."""

    def __init__(self, coro: Any, *, number: int, process: Process | None, **kwargs: Any) -> None:
        self.number = number  # before super(): registering the task already hashes it
        self.process = process
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self.number

    @property
    def killed(self) -> bool:
        return self.process is not None and not self.process.alive


class LiveGenerators:
    """The unfinished async generators, in the order of their creation: in place of the loop's plain weak set."""

    def __init__(self) -> None:
        self._processes: weakref.WeakKeyDictionary[AsyncGenerator[Any, Any], Process | None]
        self._processes = weakref.WeakKeyDictionary()

    def add(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._processes[generator] = current_process()

    def discard(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._processes.pop(generator, None)

    def clear(self) -> None:
        self._processes.clear()

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __iter__(self) -> Iterator[AsyncGenerator[Any, Any]]:
        """Without those of killed processes: nothing of theirs runs again, so nobody may close them."""
        return iter([g for g, process in self._processes.items() if process is None or process.alive])

"""A deterministic asyncio loop: virtual clock, seeded order, no sockets, no threads; one seed is one run.

What is virtual. `loop.time()` starts at CLOCK_START_S and stands still while anything is ready; when nothing
is, it jumps to the next timer. `now_ms()` is the wall clock: a fixed date plus the virtual time, plus what
`shift_wall` added (a wall clock may jump, the loop's never does).

What is shuffled. A loop turn runs the handles that were ready when it began; what they schedule runs in the
next turn. That stays. Within a turn the seed orders the steps of tasks and the timers that are due together:
asyncio promises no order among either. Plain `call_soon` callbacks (future callbacks too) are promised to run
in the order of their registration, so they keep it among themselves, while tasks and timers fall between them
at random. `shuffle=False` is asyncio's own order.

What makes a seed repeat. Tasks and futures hash by their number in the run, not by address, so that the sets
of them that asyncio (TaskGroup, wait) and our own code walk through have one order; unnamed tasks are named
by that number; unfinished async generators are closed in the order of their creation; the cyclic garbage
collector is off during a run. Left to the code under test: no iteration over sets of strings or of plain
objects, no `time`, `random` or `uuid` of its own.

How a run ends. `run` returns what the main coroutine returned, or raises: its exception; `Deadlock` at once
when nothing is ready and no timer is set; `Livelock` past a limit of turns or of virtual time; `RunErrors`
when a task, future or callback failed and nobody looked. Tasks left over are cancelled, and named in `leftover`.

How a process dies. Work started by `sim.process(name).start(...)` vanishes at `kill()`: none of its tasks,
timers or callbacks ever runs again, no `finally` either, as with SIGKILL. Only what it put elsewhere is left.
"""

import asyncio
import gc
import heapq
import random
import threading
import weakref
import zlib
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple, Unpack, cast

from tests.support.numbered import LiveGenerators, SimFuture, SimTask
from tests.support.outside import refuse, wall_off
from tests.support.simerrors import Deadlock, Livelock, LoopError, NotSimulated, RunErrors
from tests.support.simprocess import Process, current_process, process_in
from tests.support.turn import reorder
from tests.support.whereabouts import listing

__all__ = ["Deadlock", "Livelock", "LoopError", "NotSimulated", "Process", "RunErrors", "SimLoop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

CLOCK_START_S = 1_000.0
"""Where `loop.time()` starts: not 0, so that code which mistakes 0 for "never" is not flattered."""
WALL_START_MS = 1_767_225_600_000
"""The wall clock's date at the start (2026-01-01 00:00 UTC): any fixed date does."""
CLOCK_RESOLUTION_S = 1e-9
"""Timers nearer than this are due together: sums of the same delays differ in their last bits."""
TURNS_MAX = 100_000
"""Turns of one run: a thousand times a usual scenario, and still less than two seconds of a spinning loop."""
VIRTUAL_S_MAX = 3_600.0
"""Virtual time of one run: six times the longest default deadline; scenarios that wait for days raise it."""
WIND_DOWN_TURNS_MAX = 10_000
"""Turns that left-over tasks get to end once they are cancelled."""
_HASH_MASK = (1 << 64) - 1


class SimLoop(asyncio.BaseEventLoop):
    """One simulated run. Make one per seed, call `run` once; `turns` and `trace` say afterwards what it was."""

    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _timer_cancelled_count: int
    _stopping: bool

    def __init__(
        self,
        seed: int,
        shuffle: bool = True,
        *,
        turns_max: int = TURNS_MAX,
        virtual_s_max: float = VIRTUAL_S_MAX,
        record: bool = False,
    ) -> None:
        """`record=True` keeps a readable line per step in `lines`: for looking at one failing seed."""
        super().__init__()
        self.seed = seed
        self.turns = 0
        self.trace = 0
        """A number that two runs share exactly when the same steps ran in the same order at the same times."""
        self.lines: list[str] | None = [] if record else None
        self.leftover: list[str] = []
        """The tasks that were still running when the main coroutine ended, by name."""
        self._now_s = CLOCK_START_S
        self._wall_shift_ms = 0
        self._turns_max = turns_max
        self._deadline_s = CLOCK_START_S + virtual_s_max
        self._shuffle = shuffle
        self._roll = self.dice("order").random
        self._numbers = 0
        self._born: dict[int, Callable[[], SimTask | SimFuture | None]] = {}
        self._errors: list[Exception] = []
        self._processes: list[Process] = []
        self._idle: list[asyncio.Future[None]] = []
        self._labels: dict[str, int] = {}
        self._home = threading.get_ident()
        self._asyncgens = LiveGenerators()

    # What scenarios use

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs `main` to its end, winds everything down and closes the loop. Once per loop.

        Raises: what `main` raised; Deadlock; Livelock; RunErrors. Whatever else failed in the run, and nobody
        looked, is added to the first as notes.
        """
        if self.is_closed():
            main.close()
            raise RuntimeError("a SimLoop runs once: make a new one for the next run")
        collecting = gc.isenabled()
        gc.disable()
        try:
            failure: BaseException | None = None
            result: T | None = None
            try:
                result = self.run_until_complete(self.create_task(main, name="main"))
            except BaseException as error:  # noqa: BLE001  # raised again below, after the winding down
                failure = error
            try:
                self._wind_down()
            except (Deadlock, Livelock) as error:
                failure = failure or error
            self._collect_unseen()
            if failure is not None:
                for unseen in self._errors:
                    failure.add_note(f"also failed in this run (seed {self.seed}), unseen: {unseen!r}")
                raise failure
            if self._errors:
                raise RunErrors(f"failed unseen in seed {self.seed}", self._errors)
            return cast("T", result)
        finally:
            failure = None  # a frame that holds its own exception is a cycle
            self._bury()
            self.close()
            if collecting:
                gc.enable()

    def time(self) -> float:
        return self._now_s

    def now_ms(self) -> int:
        """The wall clock, in milliseconds: give it to whatever stamps events."""
        return WALL_START_MS + round((self._now_s - CLOCK_START_S) * 1000) + self._wall_shift_ms

    def shift_wall(self, by_ms: int) -> None:
        """Makes the wall clock jump, forwards or back. `time()` and timers do not notice."""
        self._wall_shift_ms += by_ms

    def dice(self, name: str) -> random.Random:
        """A stream of random numbers of the run's seed and this name: draws elsewhere do not move it."""
        return random.Random(f"simloop:{self.seed}:{name}")

    def process(self, name: str) -> Process:
        """A simulated process that can be killed: see the module's text."""
        process = Process(self, name)
        self._processes.append(process)
        return process

    async def idle(self) -> None:
        """Returns when all else is blocked and only a timer could go on, without letting time pass.

        For placing a race by hand: start a task, `await sim.idle()`, and it has got as far as it can.
        """
        waiter: asyncio.Future[None] = self.create_future()
        self._idle.append(waiter)
        await waiter

    # What asyncio calls

    def create_future(self) -> asyncio.Future[Any]:
        self._numbers += 1
        future = SimFuture(loop=self, number=self._numbers)
        self._born[self._numbers] = weakref.ref(future)
        return future

    def create_task(self, coro: Any, *, name: object = None, **kwargs: Any) -> asyncio.Task[Any]:
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        self._numbers += 1
        if name is None:
            name = f"{getattr(coro, '__qualname__', 'task')}#{self._numbers}"
        context = kwargs.get("context")
        process = current_process() if context is None else process_in(context)
        task = SimTask(coro, number=self._numbers, process=process, loop=self, name=str(name), **kwargs)
        # A process's tasks are held: one that nobody holds after the kill would still run its `finally`.
        self._born[task.number] = weakref.ref(task) if process is None else (lambda: task)
        return task

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        if threading.get_ident() != self._home:
            refuse("call_soon_threadsafe from another thread")
        return self.call_soon(callback, *args, context=context)

    def call_exception_handler(self, context: Any) -> None:
        error = context.get("exception")
        if not isinstance(error, Exception):
            subject = context.get("task") or context.get("future") or context.get("handle")
            error = LoopError(f"{context.get('message')}: {subject!r}")
        self._errors.append(error)

    def __del__(self) -> None:
        pass  # asyncio's warns of an unclosed loop; one that never ran holds nothing to close

    def _write_to_self(self) -> None:
        pass  # there is no selector to wake

    def _run_once(self) -> None:
        """One turn: asyncio's own, less the selector, plus the jump, the shuffle, the limits and the trace."""
        self.turns += 1
        if self.turns > self._turns_max:
            raise Livelock(
                f"seed {self.seed}: no end after {self._turns_max} turns; running:\n{self._waiting()}"
            )
        ready = self._ready
        self._wake_timers()
        if not ready and not self._stopping:
            if self._idle:
                idle, self._idle = self._idle, []
                for waiter in idle:
                    if not waiter.done():
                        waiter.set_result(None)
            elif self._scheduled:
                self._now_s = max(self._now_s, self._scheduled[0].when())
                if self._now_s > self._deadline_s:
                    limit_s = self._deadline_s - CLOCK_START_S
                    raise Livelock(
                        f"seed {self.seed}: no end after {limit_s:g} s; waiting:\n{self._waiting()}"
                    )
                self._wake_timers()
            else:
                raise Deadlock(f"seed {self.seed}: nothing can go on; waiting:\n{self._waiting()}")
        if self._shuffle and len(ready) > 1:
            reorder(ready, self._roll)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle.cancelled() or (self._processes and _is_dead(handle)):
                continue
            self._note(handle)
            handle._run()

    # Parts

    def _wake_timers(self) -> None:
        timers, due_s = self._scheduled, self._now_s + CLOCK_RESOLUTION_S
        while timers:
            timer = timers[0]
            if timer.cancelled():
                self._timer_cancelled_count -= 1
            elif self._processes and _is_dead(timer):
                pass  # a dead process's timer must not hide a deadlock
            elif timer.when() < due_s:
                self._ready.append(timer)
            else:
                return
            heapq.heappop(timers)
            timer._scheduled = False  # type: ignore[attr-defined]  # TimerHandle.cancel() counts on it

    def _note(self, handle: asyncio.Handle) -> None:
        callback = handle._callback  # type: ignore[attr-defined]
        owner = getattr(callback, "__self__", None)
        if isinstance(owner, SimTask):
            name, label = owner.get_name(), owner.number
        else:
            name = getattr(callback, "__qualname__", type(callback).__qualname__)
            label = self._labels.get(name, 0)
            if not label:
                label = self._labels[name] = -zlib.crc32(name.encode()) - 1
        self.trace = hash((self.trace, label, self._now_s)) & _HASH_MASK
        if self.lines is not None:
            self.lines.append(f"{self._now_s - CLOCK_START_S:.6f} turn {self.turns}: {name}")

    def _pending(self) -> list[SimTask]:
        born = [ref() for ref in self._born.values()]
        return [task for task in born if isinstance(task, SimTask) and not task.done()]

    def _waiting(self) -> str:
        text = listing(task for task in self._pending() if not task.killed)
        self._collect_unseen()
        return text + "".join(f"\n  (failed before, unseen: {error!r})" for error in self._errors)

    def _collect_unseen(self) -> None:
        """Takes the exceptions nobody retrieved, without waiting for the garbage collector to find them."""
        for ref in list(self._born.values()):
            future: Any = ref()
            if future is not None and future._log_traceback:
                future._log_traceback = False
                self.call_exception_handler({"exception": future.exception()})

    def _wind_down(self) -> None:
        self._turns_max = self.turns + WIND_DOWN_TURNS_MAX
        self._deadline_s = float("inf")
        left = [task for task in self._pending() if not task.killed]
        self.leftover = [task.get_name() for task in left]
        self.run_until_complete(self.create_task(self._end(left), name="wind-down"))

    async def _end(self, left: list[SimTask]) -> None:
        for task in left:
            task.cancel()
        for outcome in await asyncio.gather(*left, return_exceptions=True):
            if isinstance(outcome, Exception):
                self.call_exception_handler({"exception": outcome})
        await self.shutdown_asyncgens()

    def _bury(self) -> None:
        """Closes what never ran again: tasks of killed processes, and those that would not be cancelled."""
        for task in self._pending():
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # pending on purpose
            with suppress(BaseException):  # what its `finally` does now is after the end of the world
                task.get_coro().close()


def _is_dead(handle: asyncio.Handle) -> bool:
    process = process_in(handle._context)  # type: ignore[attr-defined]
    return process is not None and not process.alive


wall_off(SimLoop)

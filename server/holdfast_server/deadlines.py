"""The clocks of one run: which of them runs when, and which runs out first.

    queue_s         accepted -> first claim                    kept by expiry.py, on the wall clock
    first_output_s  attempt begins -> its first output         rests while a tool runs, while we are the slow ones,
    stall_s         output -> next output                      and while an announced Retry-After passes
    total_s         time spent running, all terms together     never rests; a parked request does not run at all

A term's clocks begin when what was asked has been read from the history: that may be away for long, and its time is ours.

A run has one timer. It is armed for the earliest end that is known, and when it goes off it looks again: output only
notes the time, so a token costs an assignment and no timer is moved. All times are the loop's, which do not jump.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from holdfast_protocol.commands import Deadlines

from .agents.base import Clocks

Code = Literal["queue", "first_output", "stall", "total"]

_SENTENCES: Final[dict[Code, str]] = {
    "queue": "It waited {} for its turn, which is the longest it may; send it again when there is less to do.",
    "first_output": "Nothing came within {}; the model may be overloaded, try again.",
    "stall": "Nothing more came for {}; what was shown stands, try again for the rest.",
    "total": "It took longer than {} in all, which is the longest it may; what was shown stands.",
}


def sentence(code: Code, limit_s: float) -> str:
    """What a person is told when this clock ran out."""
    return _SENTENCES[code].format(f"{limit_s:g} s")


def lowered(clocks: Clocks, wanted: Deadlines) -> Clocks:
    """The agent's clocks, lowered (never raised) by what the request asks for."""

    def lower(own: float | None, asked: float | None) -> float | None:
        return asked if own is None else own if asked is None else min(own, asked)

    return Clocks(
        first_output_s=lower(clocks.first_output_s, wanted.first_output_s),
        stall_s=lower(clocks.stall_s, wanted.stall_s),
        total_s=lower(clocks.total_s, wanted.total_s),
        queue_s=lower(clocks.queue_s, wanted.queue_s),
    )


class Due(NamedTuple):
    """When a clock runs out, which one it is, and its limit."""

    at: float
    code: Code
    limit_s: float


class RunClock:
    """The clocks of a run in one term. `spent_s`: what earlier terms ran. Calls `ran_out` once, in the loop."""

    def __init__(self, clocks: Clocks, spent_s: float, ran_out: Callable[[Due], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._clocks = clocks
        self._ran_out = ran_out
        self._began = self._loop.time()
        self._spent_s = spent_s
        self._last = self._began  # the attempt's begin, or its last output
        self._outputs = False
        self._resting: set[str] = set()
        self._rest_began = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._arm()

    @property
    def running_ms(self) -> int:
        """How long this term has run."""
        return round((self._loop.time() - self._began) * 1000)

    def attempt(self) -> None:
        """An attempt begins, or the same one anew: the first output is waited for."""
        self._last = self._rest_began = self._loop.time()
        self._outputs = False
        self._resting.clear()
        self._arm()

    def output(self) -> None:
        """The agent put something out."""
        self._last = self._loop.time()
        if not self._outputs:
            self._outputs = True
            self._arm()

    def rest(self, why: str) -> None:
        """Stop the first two clocks until `go_on` was called for every reason."""
        if not self._resting:
            self._rest_began = self._loop.time()
        self._resting.add(why)

    def go_on(self, why: str) -> None:
        """The reason is gone; the clocks go on where they stood."""
        if why in self._resting:
            self._resting.discard(why)
            if not self._resting:
                # What was output during the rest counts from then; else the rest is taken out.
                self._last += self._loop.time() - max(self._rest_began, self._last)
                self._arm()

    def stop(self) -> None:
        """The run ends: nothing runs out any more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def due(self) -> Due | None:
        """The clock that runs out first as things stand; None if none does."""
        clocks, found = self._clocks, list[Due]()
        if clocks.total_s is not None:
            found.append(Due(self._began + clocks.total_s - self._spent_s, "total", clocks.total_s))
        if not self._resting:
            if not self._outputs and clocks.first_output_s is not None:
                found.append(Due(self._last + clocks.first_output_s, "first_output", clocks.first_output_s))
            elif self._outputs and clocks.stall_s is not None:
                found.append(Due(self._last + clocks.stall_s, "stall", clocks.stall_s))
        return min(found, default=None)

    def _arm(self) -> None:
        """Have a timer at or before the earliest end; one that is early already is left alone."""
        due = self.due()
        if self._stopped or due is None:
            return
        if self._timer is not None:
            if self._timer.when() <= due.at:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due.at, self._look)

    def _look(self) -> None:
        self._timer = None
        due = self.due()
        if due is None or self._stopped:
            return
        if due.at > self._loop.time():
            self._arm()
            return
        self._stopped = True
        self._ran_out(due)

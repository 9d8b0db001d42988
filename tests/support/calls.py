"""What the upstream was asked: one entry per call, the oracle that client histories cannot replace.

Work done twice is invisible to clients; it is two entries of one key here. Times are `time.monotonic()`, which all
processes of a machine share.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tests.support.level import WAIT_S, Level

CALLS_MAX = 200_000  # an hour of soak at 50 calls a second; beyond it the log would lie, so calls are refused
MESSAGES_BYTES_MAX = (
    64 * 1024 * 1024
)  # messages kept for inspection in all; later calls keep their hash alone
STAMPS_MAX = 50_000  # of one call: five times the longest answer that the bench streams


class Call(msgspec.Struct, kw_only=True):
    """One call, from its request line to its end."""

    number: int  # from 1, over all keys
    key: str  # the request's id as the caller gave it; empty where it gave none
    nth: int  # from 1, of its key (of its last user message, where there is no key)
    model: str
    stream: bool
    prompt_sha256: str
    sdk_retry: int  # the SDK's own retry count: 0 where the caller does its retries itself
    started: float
    ended: float | None = None
    outcome: str = "running"  # completed, status_NNN, a fault's name, disconnected, stopped
    bytes: int = 0  # of the body, as given to the kernel
    deltas: int = 0
    stalled: bool = False  # it has come to its stall or hold
    disconnected: bool = False  # the client went before the end
    disconnected_at: float | None = None
    stamps: list[float] = []  # when each delta was written, where the script asks for it
    messages: list[dict[str, Any]] | None = None  # what was asked; None beyond MESSAGES_BYTES_MAX


class CallLog:
    """Every call since the start or the last reset."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.level = Level()
        self._nth: Counter[str] = Counter()
        self._messages_bytes = 0

    def begin(
        self, *, key: str, lineage: str, model: str, stream: bool, sdk_retry: int, sha256: str,
        messages: list[dict[str, Any]], size: int,
    ) -> Call:  # fmt: skip
        """Enters a call. Change it in place, call `touch` after each change and `end` at its end.

        Raises: OverflowError when the log is full: reset it.
        """
        if len(self.calls) >= CALLS_MAX:
            raise OverflowError(f"the call log is full at {CALLS_MAX} calls: POST /reset")
        self._nth[lineage] += 1
        self._messages_bytes += size
        call = Call(
            number=len(self.calls) + 1,
            key=key,
            nth=self._nth[lineage],
            model=model,
            stream=stream,
            prompt_sha256=sha256,
            sdk_retry=sdk_retry,
            started=time.monotonic(),
            messages=messages if self._messages_bytes <= MESSAGES_BYTES_MAX else None,
        )
        self.calls.append(call)
        self.touch()
        return call

    def touch(self) -> None:
        """Tells waiters that a call has changed."""
        self.level.notify()

    def end(self, call: Call, outcome: str) -> None:
        """Ends a call."""
        call.outcome = outcome
        call.ended = time.monotonic()
        if outcome == "disconnected":
            call.disconnected, call.disconnected_at = True, call.ended
        self.touch()

    def of(self, key: str) -> list[Call]:
        """The calls of one key, in order."""
        return [call for call in self.calls if call.key == key]

    async def until(self, holds: Callable[[Sequence[Call]], bool], wait_s: float = WAIT_S) -> None:
        """Returns as soon as `holds(calls)` is true.

        Raises: TimeoutError after `wait_s`.
        """
        await self.level.until(lambda: holds(self.calls), wait_s)

    def reset(self) -> None:
        """Forgets every call and counts keys from 1 again; a call still running goes on outside the log."""
        self.calls.clear()
        self._nth.clear()
        self._messages_bytes = 0
        self.touch()

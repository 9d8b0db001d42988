"""What stands of an answer while it is written: its parts by the names that the agent gave them, and what they weigh.

It is read off a fold that holds no text. What the agent yields next is looked up here (which text is open, which part shows
which step or tool call), charged here, and taken by the fold before any reader can see it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from holdfast_protocol import events as ev
from holdfast_protocol.fold import Fold
from holdfast_protocol.live_part import LivePart

from .agents.base import AgentFailure
from .plain import refused

ANSWER_BYTES_MAX: Final = 2 * 1024 * 1024
"""Bytes of one answer, everything that it shows: a book is half of it; beyond, a model is most likely in a loop."""

PARTS_MAX: Final = 10_000
"""Parts of one answer: each costs every reader some memory, however little it shows."""


class Standing:
    """What stands after `events`. Whoever writes takes every event with `put`, and calls `read` when an attempt begins."""

    def __init__(self, events: Iterable[ev.Event], bytes_max: int) -> None:
        self.fold = Fold(keep_text=False).apply_all(events)
        self._bytes_max = bytes_max
        self.read()

    def read(self) -> None:
        """Read off the fold what stands; after a start that may be less than before."""
        self.open: int | None = None  # the part whose text grows
        self.tools: dict[str, int] = {}
        self.replaced: dict[tuple[str, str], int] = {}
        self.seen: set[tuple[str, str]] = set()
        self.bytes = 0  # what the answer weighs so far
        for number, part in enumerate(self.fold.parts):
            self.bytes += part.bytes
            if part.kind in ("text", "reasoning") and part.open:
                self.open = number
            elif part.kind == "tool":
                self.tools[part.fields["call_id"]] = number
            elif part.kind in ("progress", "data"):
                self.replaced[part.kind, part.fields["id"]] = number
            elif part.kind in ("source", "file"):
                self.seen.add((part.kind, part.fields["id"]))

    def put(self, out: list[ev.Event], event: ev.Event) -> None:
        """Take the event, or find that the lifecycle forbids it, before it is among `out`. Raises: IllegalEvent."""
        self.fold.apply(event)
        out.append(event)

    def charge(self, size: int) -> None:
        """So many bytes more are shown. Raises: AgentFailure, and then nothing is charged."""
        if self.bytes + size > self._bytes_max:
            raise AgentFailure(
                "too_long",
                f"The answer is longer than {self._bytes_max} bytes; what was shown stands.",
            )
        self.bytes += size

    def next_part(self) -> int:
        """The number of the next part. Raises: AgentFailure if there is no room for one."""
        if len(self.fold.parts) >= PARTS_MAX:
            raise AgentFailure(
                "too_long", f"The answer has more than {PARTS_MAX} parts; what was shown stands."
            )
        return len(self.fold.parts)

    def tool(self, call_id: str, *states: str) -> tuple[int, LivePart]:
        """The part of a tool call that is in one of these states. Raises: AgentFailure."""
        number = self.tools.get(call_id)
        if number is None:
            raise refused(f"something of a tool call {call_id!r} that was not begun")
        part = self.fold.parts[number]
        if part.state not in states:
            raise refused(f"something of the tool call {call_id!r} that came too late")
        return number, part

    def tool_runs(self, call_id: str) -> bool:
        """Whether this call is complete and its result is not there: the server runs it."""
        number = self.tools.get(call_id)
        return (
            number is not None and self.fold.parts[number].open and self.fold.parts[number].state == "called"
        )

"""The lifecycle: which event may follow in which status, and what status it leads to.

One literal table serves four readers: the writer's assertion, the reader's fold, the tests' generator of legal
histories, and the diagram in docs/protocol.md, which is drawn from it. An event that is not in the row of the present
status is illegal there; a kind that this release does not know changes nothing.
"""

from __future__ import annotations

from typing import Final, Literal

from .errors import IllegalEvent
from .events import Event, Unknown, kind_of

Status = Literal[
    "new", "queued", "running", "waiting", "completed", "failed", "cancelled", "timed_out", "interrupted"
]

OUTCOME_STATUSES: Final[frozenset[Status]] = frozenset(
    {"completed", "failed", "cancelled", "timed_out", "interrupted"}
)
LIVE_STATUSES: Final[frozenset[Status]] = frozenset({"queued", "running", "waiting"})

TRANSITIONS: Final[dict[Status, dict[str, Status]]] = {
    "new": {"accepted": "queued"},
    "queued": {
        "started": "running",
        "failed": "failed",
        "cancelled": "cancelled",
        "timed_out": "timed_out",
        "interrupted": "interrupted",
    },
    "running": {
        "started": "running",
        "checkpoint": "running",
        "part_started": "running",
        "delta": "running",
        "part_done": "running",
        "tool_call": "running",
        "tool_result": "running",
        "progress": "running",
        "data": "running",
        "source": "running",
        "file": "running",
        "input": "running",
        "usage": "running",
        "decided": "running",
        "waiting": "waiting",
        "completed": "completed",
        "failed": "failed",
        "cancelled": "cancelled",
        "timed_out": "timed_out",
        "interrupted": "interrupted",
    },
    "waiting": {
        "started": "running",
        "failed": "failed",
        "cancelled": "cancelled",
        "timed_out": "timed_out",
        "interrupted": "interrupted",
    },
    "completed": {},
    "failed": {},
    "cancelled": {},
    "timed_out": {},
    "interrupted": {},
}


def next_status(status: Status, event: Event) -> Status:
    """The status after `event`. Raises: IllegalEvent if the table has no such step."""
    if isinstance(event, Unknown):
        return status
    kind = kind_of(event)
    try:
        return TRANSITIONS[status][kind]
    except KeyError:
        raise IllegalEvent(f"{kind} cannot follow while {status}") from None

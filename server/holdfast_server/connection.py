"""What delivery needs of a connection, and the bounds it keeps: the port between the pump and the sockets.

A connection here is a place to put bytes and a number that says how many of them were not taken yet. It owns no queue
of messages and no task; what it has not been sent is in the logs, and its cursors say where (I8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast_protocol.limits import PAGE_BYTES_MAX, SUBSCRIPTIONS_PER_CONNECTION_MAX


class Encoder(Protocol):
    """Writes a push as one frame. Connections whose frames may be shared have the same encoder object."""

    def encode(self, message: Any) -> bytes:
        """The frame."""


class Connection(Protocol):
    """One live transport. None of these waits, and none raises: what cannot be written any more is dropped."""

    @property
    def codec(self) -> Encoder:
        """How its frames are written."""

    @property
    def buffered(self) -> int:
        """Bytes written that the operating system has not taken yet; 0 once the transport is closed."""

    def write(self, frames: Sequence[bytes]) -> None:
        """Send the frames, in order, before anything that is written later."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye, and end."""

    def abort(self) -> None:
        """End at once and free what the kernel holds; harmless when it has ended already."""


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """The bounds of delivery."""

    buffer_bytes: int = 64 * 1024
    """Unsent bytes above which a connection is skipped. With one page on top it is all that a slow reader costs here,
    whatever it is behind by; it is also what one connection gets per turn before the next one's go."""

    page_bytes: int = PAGE_BYTES_MAX
    """Text bytes of one merged page."""

    turn_bytes: int = 1024 * 1024
    """Pages pulled for readers who are behind, per turn of the loop and all connections together: a few milliseconds of
    work, so that a storm of returning readers does not delay those who are live."""

    subscriptions: int = SUBSCRIPTIONS_PER_CONNECTION_MAX
    """Journals followed by one connection; the feed counts as one."""

    no_progress_s: float = 30.0
    """A connection whose unsent bytes have not become fewer for so long is closed: a reader that is merely slow takes
    something in that time, and one that has gone must not hold memory."""

    abort_grace_s: float = 1.0
    """Between that close and the end of the transport, so that a reader that wakes up learns why."""

    poll_first_s: float = 0.001
    """How soon a connection that has just become full is looked at: on a near network it has drained by then, and a reader
    who comes back to a long answer gets its next page. From then on twice as long each time while none has drained."""

    poll_s: float = 0.02
    """How often full connections are looked at in the end: about the time in which one drains at 3 MB/s."""

    poll_each_s: float = 0.00002
    """And never more often than this for each of them, so that looking at many takes a small part of the loop's time."""

    sweep_s: float = 1.0
    """How often every cursor is compared with its log, so that any wake-up may be lost (I7)."""

    notice_every_s: float = 1.0
    """Notices of one kind to one connection: more often nobody can read them."""

    snapshot_bytes: int = 32 * 1024 * 1024
    """Encoded snapshots kept, so that many who return to one answer cost one encoding."""

    snapshot_logs: int = 1024
    """Logs of which something encoded is kept."""

    snapshot_age_events: int = 256
    """A kept snapshot of a growing log serves until it is so many events old; the reader gets those after it."""

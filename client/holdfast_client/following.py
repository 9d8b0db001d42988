"""Following one request: from pushes to a transcript whose every byte is accounted for. Pure.

      want ──subscribe sent──▶ asked ──reply──▶ live ──caught_up, sealed, digest equal──▶ ended
       ▲                         │                │
       │                         ▼ refused        ├─ gap, illegal event, wrong digest: start over (bounded)
       └──── connection lost ── lost ◀── gone ────┘

Pushes are taken in `live` only: what arrives while a subscribe is unanswered belongs to the subscription before it.
A snapshot is folded beside what is shown and replaces it when it has been verified, so nobody sees a half-told state.
The two checks are those of I1 and I6: a page begins at one's own offset and its spans end at its cursor; the digest at
`caught_up` is one's own. Whoever fails either starts over without a cursor, at most STARTS_OVER_MAX times in a row.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

from holdfast_protocol.cursor import parse_cursor
from holdfast_protocol.errors import IllegalEvent, ProtocolError
from holdfast_protocol.events import Event
from holdfast_protocol.fold import Fold
from holdfast_protocol.pushes import CaughtUp, Notice, Page
from holdfast_protocol.rewrite import text_bytes

STARTS_OVER_MAX: Final = 3
"""Fresh starts in a row that may fail to verify; more would be a loop between two ends that disagree."""

RECENT_BYTES_MAX: Final = 256 * 1024
"""What is kept of recent events for a reader of events; one who is further behind reads the log."""

State = Literal["want", "asked", "live", "ended", "lost"]
Verdict = Literal["same", "changed", "ended", "start_over"]


class Following:
    """One request as its follower knows it. `fold` is what to show; read it, never write it."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.state: State = "want"
        self.ref: int | None = None  # of the unanswered subscribe or submit
        self.by_submit = False  # whether that ref is a submit, which the outbox repeats by itself
        self.cursor: str | None = None
        self.fold = Fold()
        self.staging: Fold | None = None
        self.lost: tuple[str, str] | None = None  # reason, sentence
        self.starts_over = 0
        self.snapshots = 0
        self.queued: Notice | None = None  # where it stood when that was last told
        self.recent: deque[tuple[int, Event]] = deque()
        self._recent_bytes = 0
        self._failures = 0

    def __repr__(self) -> str:
        return f"Following({self.request_id!r}, {self.state}, offset={self.fold.offset})"

    # -- what the session tells ------------------------------------------------------------------------------

    def asked(self, ref: int, *, by_submit: bool = False) -> None:
        """A command that subscribes was sent; take no push until its reply."""
        self.state, self.ref, self.by_submit = "asked", ref, by_submit
        self.staging = None

    def granted(self, start: str | None = None) -> None:
        """The reply came; `start` is the cursor it named, if any. Pushes count from here on."""
        self.state, self.ref, self.by_submit = "live", None, False
        if self.cursor is None and start:
            self.cursor = start

    def dropped(self) -> None:
        """The connection is gone. A subscribe must be sent again; a submit the outbox sends again."""
        self.staging = None
        if self.state == "live" or (self.state == "asked" and not self.by_submit):
            self.state, self.ref = "want", None

    def lose(self, reason: str, message: str) -> None:
        """It cannot be followed any more."""
        self.state, self.ref, self.lost, self.staging = "lost", None, (reason, message), None

    # -- pushes ----------------------------------------------------------------------------------------------

    def snapshot(self) -> None:
        """Pages from offset 0 follow; keep showing what there is until they are verified."""
        if self.state == "live":
            self.staging = Fold()
            self.snapshots += 1

    def page(self, page: Page) -> Verdict:
        """Take a page. On `start_over`: subscribe again with the `cursor` as it is now (none)."""
        if self.state != "live":
            return "same"
        target = self.fold if self.staging is None else self.staging
        try:
            after = parse_cursor(page.next).offset
        except ProtocolError:
            return self._start_over()
        if page.start != target.offset or page.start + sum(event.span for event in page.events) != after:
            return self._start_over()
        try:
            for event in page.events:
                offset = target.offset
                target.apply(event)
                if self.staging is None:
                    self._remember(offset, event)
        except IllegalEvent:
            return self._start_over()
        if self.staging is not None:
            return "same"
        self.cursor = page.next
        return "changed"

    def caught_up(self, push: CaughtUp) -> Verdict:
        """Compare notes with the server, and swap in a snapshot that is sound."""
        if self.state != "live":
            return "same"
        target = self.fold if self.staging is None else self.staging
        digest = target.digest()
        try:
            offset = parse_cursor(push.cursor).offset
        except ProtocolError:
            return self._start_over()
        theirs = (offset, push.parts, push.bytes, push.digest)
        if (target.offset, digest.parts, digest.bytes, digest.crc) != theirs or push.sealed != target.sealed:
            return self._start_over()
        swapped = self.staging is not None
        self.fold, self.staging, self.cursor = target, None, push.cursor
        self._failures = 0
        if swapped:
            self._forget()
        if push.sealed:
            self.state = "ended"
            return "ended"
        return "changed" if swapped else "same"

    def _start_over(self) -> Verdict:
        self.starts_over += 1
        self._failures += 1
        self.cursor, self.staging = None, None
        if self._failures > STARTS_OVER_MAX:
            self.lose(
                "unverifiable",
                "The answer that arrives does not match what the server holds; please report this.",
            )
            return "changed"
        self.state = "want"
        return "start_over"

    # -- recent events ---------------------------------------------------------------------------------------

    def _remember(self, offset: int, event: Event) -> None:
        self.recent.append((offset, event))
        self._recent_bytes += text_bytes(event)
        while self._recent_bytes > RECENT_BYTES_MAX:
            self._recent_bytes -= text_bytes(self.recent.popleft()[1])

    def _forget(self) -> None:
        self.recent.clear()
        self._recent_bytes = 0

    def events_from(self, offset: int) -> list[Event] | None:
        """The events from `offset` on that are at hand (none at the tail); None if the log must be read for them."""
        if offset == self.fold.offset:
            return []
        if not self.recent or offset < self.recent[0][0]:
            return None
        out: list[Event] = []
        for start, event in reversed(self.recent):
            if start < offset:
                break
            out.append(event)
        out.reverse()
        begins_there = bool(out) and self.fold.offset - sum(event.span for event in out) == offset
        return out if begins_there else None


def unattached(request_id: str) -> Following:
    """A request that was submitted without being followed."""
    following = Following(request_id)
    following.lose("detached", "This answer is not followed here; attach to it to read it.")
    return following

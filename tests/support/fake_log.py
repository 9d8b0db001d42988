"""What the fake server remembers: a log per request, a list of messages per chat."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast_protocol import commands as cmd
from holdfast_protocol import events as ev
from holdfast_protocol import replies as rep
from holdfast_protocol.cursor import Epoch, cursor_at
from holdfast_protocol.fold import Fold


class FakeJournal:
    """One request's log."""

    def __init__(self, request_id: str, submission: cmd.Submission, at: int) -> None:
        self.request_id = request_id
        self.submission = submission
        self.events: list[ev.Event] = []
        self.fold = Fold()
        self.chain: list[Epoch] = []
        self.version = 0
        self.append(
            ev.Accepted(
                at=at,
                nonce=f"{abs(hash(request_id)) % 16**8:08x}",
                agent=submission.agent or "demo",
                chat_id=submission.chat_id,
                message_id=submission.message_id,
                parent_id=submission.parent_id,
            )
        )

    def append(self, *events: ev.Event) -> None:
        """Write events; offsets are their places in the list."""
        for event in events:
            self.fold.apply(event)
            if isinstance(event, ev.Accepted):
                self.chain.append(Epoch(0, event.nonce, 0))
            elif isinstance(event, ev.Started):
                self.chain.append(Epoch(event.term, event.nonce, len(self.events)))
            self.events.append(event)
            self.version += 1

    def start(self, at: int = 1, keep: ev.Keep = "all", reason: ev.Reason = "first") -> None:
        """A writer begins, under the next term."""
        term = len(self.chain)
        attempt = (self.fold.started.attempt if self.fold.started else 0) + (
            reason in ("first", "retry", "recovered")
        )
        self.append(
            ev.Started(at=at, attempt=attempt, term=term, nonce=f"{term:08x}", keep=keep, reason=reason)
        )

    @property
    def tail(self) -> int:
        return len(self.events)

    def cursor(self, offset: int) -> str:
        return str(cursor_at(self.chain, offset))

    def row(self) -> rep.RequestRow:
        return rep.RequestRow(
            request_id=self.request_id,
            version=self.version,
            status=self.fold.status,
            agent=self.submission.agent or "demo",
            chat_id=self.submission.chat_id,
            created_at=self.events[0].at,
            updated_at=self.events[-1].at,
            outcome=self.fold.outcome,
            title=(self.submission.text or "".join(m.text for m in self.submission.messages))[:40],
        )


@dataclass
class FakeChat:
    """One chat's row and messages, oldest first."""

    row: rep.ChatRow
    messages: list[rep.MessageRow] = field(default_factory=list)

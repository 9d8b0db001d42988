"""The transcript: what a person is shown of a request, as a value.

It is the fold of a journal's prefix (see fold.py) and is what snapshots, the history, agents that are entered again and
the doors without events work with.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .events import Outcome, Usage, snake
from .lifecycle import Status


class PartBase(
    msgspec.Struct,
    kw_only=True,
    omit_defaults=True,
    tag_field="kind",
    tag=lambda name: snake(name.removesuffix("Part")),
):
    """What every part has: the time at which it opened."""

    at: int


class TextPart(PartBase, kw_only=True):
    """Text of the answer, Markdown by convention."""

    text: str = ""
    open: bool = False


class ReasoningPart(PartBase, kw_only=True):
    """What the model thought on the way."""

    text: str = ""
    open: bool = False


class ToolPart(PartBase, kw_only=True):
    """A tool call. `state`: input (arguments still arriving), called, done, failed, unknown (the request ended without
    a result: it may or may not have run)."""

    call_id: str
    name: str
    where: Literal["server", "client"] = "server"
    arguments: str = ""
    result: str = ""
    state: Literal["input", "called", "done", "failed", "unknown"] = "input"


class ProgressPart(PartBase, kw_only=True):
    """A step of the work. `stopped`: the request ended, otherwise than completed, while it ran."""

    id: str
    label: str
    step_kind: str = "step"
    step: int | None = None
    total: int | None = None
    percent: float | None = None
    state: Literal["running", "done", "failed", "stopped"] = "running"


class DataPart(PartBase, kw_only=True):
    """A value for the application."""

    id: str
    name: str
    data: Any = None


class SourcePart(PartBase, kw_only=True):
    """Something the answer cites."""

    id: str
    url: str
    title: str = ""


class FilePart(PartBase, kw_only=True):
    """A file the answer made."""

    id: str
    url: str
    media_type: str = "application/octet-stream"
    name: str = ""


class InputPart(PartBase, kw_only=True):
    """What the person added in mid-answer."""

    id: str
    text: str


class WaitPart(PartBase, kw_only=True):
    """Something a person is asked. `closed`: the request ended before a decision."""

    wait_id: str
    wait_kind: str
    body: Any = None
    digest: str = ""
    expires_at: int | None = None
    decision: Any = None
    state: Literal["open", "decided", "expired", "closed"] = "open"

    @property
    def granted(self) -> bool:
        """Whether somebody permitted what was asked, in time."""
        return self.state == "decided" and permits(self.decision)


def permits(decision: Any) -> bool:
    """What a decision must be to permit: true, or an object whose `approved` is true (then with a `note`, say). Nothing else
    does."""
    return decision is True or (isinstance(decision, dict) and decision.get("approved") is True)


class UnknownPart(PartBase, kw_only=True):
    """A part that an event of a kind unknown to this release opened: it shows nothing, and keeps its number so that the
    parts after it keep theirs. `event` is that kind."""

    event: str = ""


TranscriptPart = (
    TextPart
    | ReasoningPart
    | ToolPart
    | ProgressPart
    | DataPart
    | SourcePart
    | FilePart
    | InputPart
    | WaitPart
    | UnknownPart
)


class Transcript(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The fold of the first `offset` events of a journal."""

    offset: int = 0
    status: Status = "new"
    agent: str = ""
    chat_id: str | None = None
    message_id: str | None = None
    parent_id: str | None = None
    append_only: bool = False
    projections: dict[str, int] = {}
    nonce: str = ""
    attempt: int = 0
    term: int = 0
    term_nonce: str = ""
    reason: str = ""
    accepted_at: int | None = None
    started_at: int | None = None
    parts: list[TranscriptPart] = []
    checkpoints: list[tuple[int, int]] = []
    usage: Usage | None = None
    outcome: Outcome | None = None

    @property
    def text(self) -> str:
        """The answer as plain text: its text parts, one after another."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

"""The events of a journal: what can happen to a request, as one tagged union for both codecs and for the store.

Every event has `at` (milliseconds since 1970 by the writer's clock; for people and replay, never for order) and `span`
(how many log events it stands for: 1 in the log; more where the server merged neighbours or left out what was
superseded; so a reader always knows its offset by adding spans). Output lives in *parts*, numbered by their place in the
transcript: an event that opens a part carries the next free number, later ones refer to it.

Strictness is for commands only: a reader keeps, counts and ignores kinds and fields that it does not know, so that two
neighbouring releases read each other's logs.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import msgspec

from .limits import OFFSET_MAX

LOG_VERSION: Final = 1

Keep = Literal["all", "none"] | Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)]
Reason = Literal["first", "retry", "recovered", "resumed", "handed_over"]
Part = Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)]
Span = Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)]
Time = Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX)]


def snake(name: str) -> str:
    """CamelCase to snake_case: the wire name of a message."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class EventBase(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="type", tag=snake
):
    """What every event has."""

    at: Time
    span: Span = 1


# -- the request's life ------------------------------------------------------------------------------------------


class Accepted(EventBase, frozen=True, kw_only=True):
    """Offset 0: the request exists and will reach an outcome. `nonce` is the epoch of term 0."""

    nonce: str
    agent: str
    chat_id: str | None = None
    message_id: str | None = None
    parent_id: str | None = None
    append_only: bool = False
    projections: dict[str, int] = {}
    v: int = LOG_VERSION


class Started(EventBase, frozen=True, kw_only=True):
    """A writer begins under `term`. `keep` tells what stands of the output so far: all of it, none, or what came before
    the checkpoint at that offset. A new term is not a new attempt: `resumed` and `handed_over` keep the number."""

    attempt: int
    term: int
    nonce: str
    keep: Keep = "all"
    reason: Reason = "first"


class Checkpoint(EventBase, frozen=True, kw_only=True):
    """No part is open; the parts so far are immutable from here on, and a later attempt may keep them."""


class Waiting(EventBase, frozen=True, kw_only=True):
    """The request waits for a person or for a tool that runs in the client; it opens a part that shows what is asked.
    `digest` names exactly what is being decided, so that a decision cannot land on something else."""

    part: Part
    wait_id: str
    kind: str
    body: Any = None
    digest: str = ""
    expires_at: Time | None = None


class Decided(EventBase, frozen=True, kw_only=True):
    """The writer took a decision from its inbox. `expired` if time decided."""

    part: Part
    wait_id: str
    decision: Any = None
    expired: bool = False


# -- output ------------------------------------------------------------------------------------------------------


class PartStarted(EventBase, frozen=True, kw_only=True):
    """A part of growing text opens."""

    part: Part
    kind: Literal["text", "reasoning"]


class Delta(EventBase, frozen=True, kw_only=True):
    """Text added to the end of an open part (text, reasoning, or a tool call's arguments)."""

    part: Part
    text: str


class PartDone(EventBase, frozen=True, kw_only=True):
    """The part's text is complete; for a tool call, its arguments are."""

    part: Part


class ToolCall(EventBase, frozen=True, kw_only=True):
    """A tool call opens; its arguments follow as deltas. `where` tells who runs it: the server, or the client that sent
    the tool along (such a call stands without a result when the request completes)."""

    part: Part
    call_id: str
    name: str
    where: Literal["server", "client"] = "server"


class ToolResult(EventBase, frozen=True, kw_only=True):
    """What the tool gave back, as the string that the model is shown."""

    part: Part
    output: str
    is_error: bool = False


class Progress(EventBase, frozen=True, kw_only=True):
    """A step of the work; the first event with a part number opens it, later ones replace what it shows."""

    part: Part
    id: str
    label: str
    kind: str = "step"
    step: int | None = None
    total: int | None = None
    percent: float | None = None
    state: Literal["running", "done", "failed"] = "running"


class Data(EventBase, frozen=True, kw_only=True):
    """A value for the application; a later event with the same part replaces it."""

    part: Part
    id: str
    name: str
    data: Any = None


class Source(EventBase, frozen=True, kw_only=True):
    """Something the answer cites."""

    part: Part
    id: str
    url: str
    title: str = ""


class File(EventBase, frozen=True, kw_only=True):
    """A file the answer made, by reference."""

    part: Part
    id: str
    url: str
    media_type: str = "application/octet-stream"
    name: str = ""


class Input(EventBase, frozen=True, kw_only=True):
    """Something the person added while the answer was being made, at the place where the writer saw it."""

    part: Part
    id: str
    text: str


class Usage(EventBase, frozen=True, kw_only=True):
    """Tokens used so far by this request, all attempts together; each event replaces the one before."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    estimated: bool = False


# -- outcomes: each seals the journal (I2) -----------------------------------------------------------------------


class OutcomeBase(EventBase, frozen=True, kw_only=True):
    """What every terminal event has: a code for machines, a sentence for people."""

    code: str
    message: str = ""
    retryable: bool = False


class Completed(OutcomeBase, frozen=True, kw_only=True):
    """The answer is whole. `code`: stop, length, tool_calls, content_filter."""


class Failed(OutcomeBase, frozen=True, kw_only=True):
    """The agent or its upstream failed; what was shown stands."""


class Cancelled(OutcomeBase, frozen=True, kw_only=True):
    """Somebody stopped it. `code`: user, chat_deleted, operator."""


class TimedOut(OutcomeBase, frozen=True, kw_only=True):
    """A deadline passed. `code`: queue, first_output, stall, total."""


class Interrupted(OutcomeBase, frozen=True, kw_only=True):
    """The server died or restarted too often under it; what was shown stands."""


class Unknown(EventBase, frozen=True, kw_only=True, tag=False, tag_field=None):
    """An event of a kind that this release does not know: counted, kept and ignored. `raw` is all of it as MessagePack,
    whichever codec it came by, and is what is stored and sent on. `part` is the part it names, if it names one: the part
    that it may open keeps its number."""

    type: str = ""
    part: int | None = None
    raw: bytes = b""


KnownEvent = (
    Accepted | Started | Checkpoint | Waiting | Decided | PartStarted | Delta | PartDone | ToolCall | ToolResult
    | Progress | Data | Source | File | Input | Usage | Completed | Failed | Cancelled | TimedOut | Interrupted
)  # fmt: skip
"""The union that is decoded and described in the schema."""

Event = KnownEvent | Unknown
Outcome = Completed | Failed | Cancelled | TimedOut | Interrupted
OUTCOMES: Final = (Completed, Failed, Cancelled, TimedOut, Interrupted)

MERGEABLE: Final = (Delta, Progress, Data)
"""Kinds of which neighbours on one part may be shown as one."""

KINDS: Final[dict[type, str]] = {
    cls: snake(cls.__name__)
    for cls in (
        Accepted, Started, Checkpoint, Waiting, Decided, PartStarted, Delta, PartDone, ToolCall, ToolResult, Progress,
        Data, Source, File, Input, Usage, *OUTCOMES,
    )
}  # fmt: skip


def kind_of(event: Event) -> str:
    """The wire name of the event's kind."""
    return event.type if isinstance(event, Unknown) else KINDS[type(event)]

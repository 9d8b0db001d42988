"""What the native API says of a request: the shapes, and how they are read off a log."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from holdfast_protocol.commands import CursorText, Id, Submission
from holdfast_protocol.digest import Digest
from holdfast_protocol.events import Completed, KnownEvent, Usage
from holdfast_protocol.lifecycle import Status
from holdfast_protocol.replies import ReaderRow, RequestRow, ResetReason, TermRow
from holdfast_protocol.transcript import ProgressPart, ToolPart, Transcript, TranscriptPart
from holdfast_server.doors.reception import Visit
from holdfast_server.stores.log import Log

from .operations import absolute, path_of

REQUESTS: Final = "/v1/requests"
REQUEST: Final = "/v1/requests/{request_id}"
EVENTS: Final = "/v1/requests/{request_id}/events"
CANCEL: Final = "/v1/requests/{request_id}/cancel"

CURSOR_PATTERN: Final = r"^[0-9]{1,15}-[0-9]{1,15}\.[0-9a-f]{8,32}$"
"""What a cursor looks like, for the document: programs send back what they got, and look no further."""

Address = Annotated[str, msgspec.Meta(min_length=1, max_length=2048, pattern="^https?://")]


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is answered: every field is there, null where there is nothing."""


class Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what is sent: a field that is not known is refused."""


# -- what is sent ------------------------------------------------------------------------------------------------


class WebhookTarget(Closed, frozen=True, kw_only=True):
    """Whom to call when the request has its outcome."""

    url: Address


class NewRequest(Submission, frozen=True, kw_only=True):
    """One request, with the fields of the WebSocket's `submit`. `request_id` (or the header Idempotency-Key) is the
    idempotency key: the same id with the same body is the same request, however often it is sent; with another body it is
    refused. `webhook`: whom to call when it has its outcome."""

    webhook: WebhookTarget | None = None

    def submission(self, request_id: str) -> Submission:
        """What all doors submit."""
        values = {name: getattr(self, name) for name in Submission.__struct_fields__}
        return Submission(**{**values, "request_id": request_id})


class Decision(Closed, frozen=True, kw_only=True):
    """The answer to what a request waits for. `digest` must be that of the wait, so that it cannot land on another."""

    wait_id: Annotated[str, msgspec.Meta(max_length=64)]
    digest: Annotated[str, msgspec.Meta(max_length=128)] = ""
    decision: Any = None


# -- what is answered --------------------------------------------------------------------------------------------


class RequestUrls(Shape, frozen=True, kw_only=True):
    """Where to go on: the status, the events, and the end of it."""

    itself: str = msgspec.field(name="self")
    events: str
    cancel: str


class AcceptedRequest(Shape, frozen=True, kw_only=True):
    """The request is durable. `created` is false if it was there already; `cursor` is the start of its log."""

    request_id: str
    status: Status
    cursor: str
    created: bool
    urls: RequestUrls
    chat_id: str | None = None
    message_id: str | None = None
    parent_id: str | None = None


class Step(Shape, frozen=True, kw_only=True):
    """A step of the work, as it stands. `at`: when it began. `stopped`: the request ended, otherwise than completed, while
    it ran."""

    id: str
    label: str
    kind: str
    state: Literal["running", "done", "failed", "stopped"]
    at: int
    percent: float | None = None
    step: int | None = None
    total: int | None = None


class ClientCall(Shape, frozen=True, kw_only=True):
    """A tool call that the client is to run. `arguments` is JSON text, as the model wrote it."""

    call_id: str
    name: str
    arguments: str


class RequestResult(Shape, frozen=True, kw_only=True):
    """The whole answer. `finish`: stop, length, tool_calls, content_filter."""

    text: str
    finish: str
    tool_calls: list[ClientCall]


class RequestError(Shape, frozen=True, kw_only=True):
    """Why there is no whole answer; what was shown stands."""

    code: str
    message: str
    retryable: bool


class Wait(Shape, frozen=True, kw_only=True):
    """What the request waits for; answer it with `decide`."""

    wait_id: str
    kind: str
    body: Any
    digest: str
    expires_at: int | None


class RequestStatus(Shape, frozen=True, kw_only=True):
    """A request as it is now. `text` is the answer so far, `result` the whole one once it is there, `error` why there is
    none; `parts` everything it shows, in order. `cursor` is the place in the log at which this was read: go on from it
    through any door. `place`: how many are before it in the queue; `queue_reason`: what it waits for, and `estimate_ms`: in how
    many milliseconds it is expected to begin, if anybody can tell, as in its row. Times are milliseconds since 1970."""

    request_id: str
    status: Status
    agent: str
    chat_id: str | None
    message_id: str | None
    parent_id: str | None
    place: int | None
    queue_reason: str | None
    estimate_ms: int | None
    attempt: int
    created_at: int
    started_at: int | None
    ended_at: int | None
    usage: Usage | None
    progress: list[Step]
    text: str
    result: RequestResult | None
    error: RequestError | None
    waiting: Wait | None
    cursor: str
    urls: RequestUrls
    parts: list[TranscriptPart] | msgspec.UnsetType = msgspec.UNSET


class RequestList(Shape, frozen=True, kw_only=True):
    """A page of requests, newest first; `next` goes on, as `before`."""

    requests: list[RequestRow]
    next: str | None


class CancelOutcome(Shape, frozen=True, kw_only=True):
    """`won`: this call ended the request; otherwise `status` is the outcome that stands."""

    won: bool
    status: Status


class DecisionTaken(Shape, frozen=True, kw_only=True):
    """`accepted` is false if the same decision was there already."""

    accepted: bool


class Inspection(Shape, frozen=True, kw_only=True):
    """What is known of a request beside its log: who followed it, and how often it was taken up."""

    request: RequestRow
    readers: list[ReaderRow]
    terms: list[TermRow]


class LogPage(Shape, frozen=True, kw_only=True):
    """The log as it was written, from offset `start`; `next` is the offset to go on from. `sealed`: it ends there."""

    request_id: str
    start: int
    next: int
    events: list[KnownEvent]
    sealed: bool


class Arrival(Shape, frozen=True, kw_only=True):
    """You hold everything up to `cursor`, and your digest (a CRC-32, as the protocol defines it, over `parts` parts of
    `bytes` bytes) should be this one; if not, read again without a cursor. `sealed`: nothing will follow."""

    cursor: CursorText
    parts: int
    bytes: int
    digest: str
    sealed: bool


class EventPage(Shape, frozen=True, kw_only=True):
    """Events from the cursor that was sent, and the one to go on from. `reset`, if it says why, means: begin anew, for the
    events are a log from offset 0 that folds to the present state. `sealed`: nothing will follow. `caught_up` is there
    when these events reach the end of the log as it is now."""

    events: list[KnownEvent]
    cursor: CursorText
    reset: ResetReason | None
    sealed: bool
    caught_up: Arrival | None


# -- read off a log ----------------------------------------------------------------------------------------------


def urls_of(visit: Visit, request_id: Id) -> RequestUrls:
    """A request's addresses."""
    return RequestUrls(
        itself=absolute(visit, path_of(REQUEST, request_id=request_id)),
        events=absolute(visit, path_of(EVENTS, request_id=request_id)),
        cancel=absolute(visit, path_of(CANCEL, request_id=request_id)),
    )


def accepted_of(visit: Visit, log: Log, *, created: bool) -> AcceptedRequest:
    """What is said of a request that was accepted."""
    record = log.record
    return AcceptedRequest(
        request_id=log.key.request_id, status=log.status, cursor=str(log.cursor(0)), created=created,
        urls=urls_of(visit, log.key.request_id), chat_id=record.chat_id, message_id=record.message_id if record.chat_id else None,
        parent_id=record.parent_id,
    )  # fmt: skip


def status_of(visit: Visit, log: Log, row: RequestRow, *, parts: bool) -> RequestStatus:
    """A request as it is now; costs the size of its answer."""
    shown = log.fold().transcript()
    return RequestStatus(
        request_id=row.request_id, status=log.status, agent=row.agent, chat_id=row.chat_id,
        message_id=row.message_id if row.chat_id else None, parent_id=log.record.parent_id, place=row.place,
        queue_reason=row.queue_reason, estimate_ms=row.estimate_ms, attempt=row.attempt,
        created_at=row.created_at, started_at=row.started_at, ended_at=row.ended_at, usage=row.usage,
        progress=[_step(part) for part in shown.parts if isinstance(part, ProgressPart)], text=shown.text,
        result=_result(log, shown), error=_error(log), waiting=_wait(log), cursor=str(log.cursor()),
        urls=urls_of(visit, row.request_id), parts=shown.parts if parts else msgspec.UNSET,
    )  # fmt: skip


def arrival_of(log: Log) -> Arrival:
    """What a reader should hold at the log's tail."""
    fold = log.fold()
    shown: Digest = fold.digest()
    return Arrival(
        cursor=str(log.cursor()), parts=shown.parts, bytes=shown.bytes, digest=shown.crc, sealed=log.sealed
    )


def _step(part: ProgressPart) -> Step:
    return Step(
        id=part.id, label=part.label, kind=part.step_kind, state=part.state, at=part.at, percent=part.percent,
        step=part.step, total=part.total,
    )  # fmt: skip


def _result(log: Log, shown: Transcript) -> RequestResult | None:
    if not isinstance(log.outcome, Completed):
        return None
    calls = [
        ClientCall(call_id=part.call_id, name=part.name, arguments=part.arguments)
        for part in shown.parts
        if isinstance(part, ToolPart) and part.where == "client"
    ]
    return RequestResult(text=shown.text, finish=log.outcome.code, tool_calls=calls)


def _error(log: Log) -> RequestError | None:
    outcome = log.outcome
    if outcome is None or isinstance(outcome, Completed):
        return None
    return RequestError(code=outcome.code, message=outcome.message, retryable=outcome.retryable)


def _wait(log: Log) -> Wait | None:
    wait = log.waiting
    if wait is None or log.status != "waiting":
        return None
    return Wait(
        wait_id=wait.wait_id, kind=wait.kind, body=wait.body, digest=wait.digest, expires_at=wait.expires_at
    )

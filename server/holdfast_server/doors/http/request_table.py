"""The operations on requests, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from holdfast_server.doors.refusal import STATUSES
from holdfast_server.doors.ticket_call import TICKETS, Ticket

from . import event_calls, request_calls, submitting
from .operations import NDJSON, SSE, Answer, Header, Operation
from .preferences import APPLIED, PREFER
from .request_shapes import (
    CANCEL,
    CURSOR_PATTERN,
    EVENTS,
    REQUEST,
    REQUESTS,
    AcceptedRequest,
    CancelOutcome,
    Decision,
    DecisionTaken,
    EventPage,
    Inspection,
    LogPage,
    NewRequest,
    RequestList,
    RequestStatus,
)

GROUP: Final = "Requests"

_STREAMS: Final[Mapping[str, str]] = {
    SSE: "One frame per event of the log: `event` is its kind, `id` the cursor behind it, `data` its JSON. Beside them: `snapshot` (begin anew; `data.reason` says why), `caught_up` (an Arrival, to verify what you hold), `gone` (the request was deleted).",
    NDJSON: 'One JSON object per line: `{"cursor", "event"}`, `{"snapshot": reason}`, `{"caught_up": Arrival}` or `{"gone": true}`. Empty lines are a sign of life.',
}

_PREFER_SUBMIT: Final = Header(
    PREFER,
    "`respond-async`: answer at once with 202. `wait=N`: answer with the whole status if the request ends within N seconds, else 202. Without it the server's own default holds.",
)
_PREFER_WAIT: Final = Header(PREFER, "`wait=N`: as the parameter `wait`, and wins over it.")
_PREFER_APPLIED: Final = Header(
    APPLIED, "What of Prefer was followed; a wait is cut to what the server permits."
)
_LOCATION: Final = Header("Location", "The request's address.")
_EVENTS_LINK: Final = Header("Link", 'The address of its events, as `rel="events"`.')
_ETAG: Final = Header("ETag", "Send it back as If-None-Match: 304 means that nothing has changed.")
_UNKNOWN: Final = ("unknown_request",)

_EXAMPLE: Final[dict[str, Any]] = {"text": "Why is the sky blue?"}

OPERATIONS: Final[list[Operation]] = [
    Operation(
        "POST", REQUESTS, "submitRequest", GROUP, "Ask something",
        "Accepts a request; once this answers it is durable and will reach an outcome, whoever listens. Answered at once, with the answer, or with a stream of its events, as Prefer and Accept say. Sent again with the same id it is the same request.",
        submitting.submit,
        (
            Answer(200, "It has ended within the time; or, for an Accept of a stream, its events from the start.", RequestStatus,
                   (_LOCATION, _EVENTS_LINK, _PREFER_APPLIED), _STREAMS),
            Answer(202, "It is durable. If `status` is `waiting`, it waits for a decision.", AcceptedRequest,
                   (_LOCATION, _EVENTS_LINK, _PREFER_APPLIED)),
        ),
        body=NewRequest,
        headers=(
            Header("Idempotency-Key", "Stands for the `request_id` where the body has none.", {"type": "string", "minLength": 1, "maxLength": 255}),
            _PREFER_SUBMIT,
        ),
        refusals=("request_conflict", "unknown_agent", "unknown_chat", "unknown_message", "too_many_requests", "overloaded", "storage_full"),
        example=_EXAMPLE, example_options="-H 'Prefer: wait=30'",
    ),
    Operation(
        "GET", REQUESTS, "listRequests", GROUP, "List requests",
        "Your requests, newest first, those that fit every condition that is given.",
        request_calls.list_requests,
        (Answer(200, "A page of them.", RequestList, (Header("Link", 'The next page, as `rel="next"`.'),)),),
        query=request_calls.ListQuery, refusals=("not_permitted",), example_query="?active=true",
    ),
    Operation(
        "GET", REQUEST, "getRequest", GROUP, "Status of a request",
        "A request as it is now: progress, the text so far, and the result or the error once it has ended. With a wait it answers when it has ended, or after that time. It works for as long as the answer is kept.",
        request_calls.get_status,
        (
            Answer(200, "The request.", RequestStatus, (_ETAG, _PREFER_APPLIED)),
            Answer(304, "Nothing has changed.", None, (_ETAG,)),
        ),
        query=request_calls.StatusQuery,
        headers=(Header("If-None-Match", "The ETag of the status that you have."), _PREFER_WAIT),
        refusals=_UNKNOWN, example_query="?parts=false",
    ),
    Operation(
        "DELETE", REQUEST, "deleteRequest", GROUP, "Delete a request",
        "Deletes it with its journal, for good; ended first if it runs. One of a chat goes as its message does, with everything under it. Who follows it is told.",
        request_calls.delete,
        (Answer(204, "It is gone."),),
        refusals=("unknown_request", "unknown_chat"),
    ),
    Operation(
        "GET", EVENTS, "readEvents", GROUP, "Follow a request",
        "Everything from a cursor on. As SSE or NDJSON it goes on to the end; as JSON it answers with a page, at once if there is one, else within `wait` seconds. Cursors are the same through every door. With a cursor that is not good the present comes first, as a snapshot, and it is said why.",
        event_calls.read_events,
        (
            Answer(200, "The events.", EventPage, (_PREFER_APPLIED,), _STREAMS),
            Answer(204, "You have it all (SSE with Last-Event-ID, of a request that has ended); EventSource then stays away."),
        ),
        query=event_calls.EventsQuery,
        headers=(Header("Last-Event-ID", "A cursor, as EventSource sends it; wins over `cursor`.", {"type": "string", "pattern": CURSOR_PATTERN}), _PREFER_WAIT),
        refusals=_UNKNOWN, ticket=True, example_query="?format=sse",
    ),
    Operation(
        "POST", CANCEL, "cancelRequest", GROUP, "End a request",
        "Ends it, running or not; what was shown stands.",
        request_calls.cancel,
        (Answer(200, "Whether this call ended it.", CancelOutcome),),
        query=request_calls.OwnerQuery, refusals=_UNKNOWN,
    ),
    Operation(
        "POST", REQUEST + "/decide", "decideRequest", GROUP, "Decide what a request waits for",
        "Takes a decision, and the request goes on. `waiting` in its status says what is asked.",
        request_calls.decide,
        (Answer(200, "It is taken.", DecisionTaken),),
        body=Decision, refusals=("unknown_request", "not_waiting", "ended"),
        example={"wait_id": "w1", "digest": "0badcafe", "decision": True},
    ),
    Operation(
        "GET", REQUEST + "/inspect", "inspectRequest", GROUP, "Look into a request",
        "What is known beside the log: who followed it, through which door, and how often it was taken up.",
        request_calls.inspect,
        (Answer(200, "What is known.", Inspection),),
        query=request_calls.OwnerQuery, refusals=_UNKNOWN,
    ),
    Operation(
        "GET", REQUEST + "/log", "readLog", GROUP, "The log as it was written",
        "Events by their offset, unmerged, for replay and inspection.",
        request_calls.read_log,
        (Answer(200, "A part of the log.", LogPage),),
        query=request_calls.LogQuery, refusals=_UNKNOWN, example_query="?start=0&limit=100",
    ),
    Operation(
        "POST", TICKETS, "createTicket", "Tickets", "A ticket for a browser",
        "A way in for EventSource and WebSocket, which cannot send a header: it lets in once, as you, where `?ticket=` is taken.",
        request_calls.new_ticket,
        (Answer(201, "The ticket.", Ticket),),
    ),
]  # fmt: skip

assert all(code in STATUSES for operation in OPERATIONS for code in operation.refusals)

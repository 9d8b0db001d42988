"""Requests over HTTP beside asking and following: status, list, end, decide, delete, inspect."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
import structlog
from aiohttp import ETag, hdrs, web

from holdfast_protocol.commands import ListLimit, Name
from holdfast_protocol.commands import Query as SearchText
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.events import Event
from holdfast_protocol.lifecycle import Status
from holdfast_protocol.limits import LIST_LIMIT_DEFAULT, OFFSET_MAX, OWNER_CHARS_MAX
from holdfast_protocol.replies import RequestRow
from holdfast_protocol.rewrite import text_bytes
from holdfast_server.doors import ticket_call
from holdfast_server.doors.refusal import Refused
from holdfast_server.doors.streaming import wait_sealed
from holdfast_server.filters import Filter
from holdfast_server.identity import owner_name, owner_named
from holdfast_server.stores.base import Owner, UnknownRequest
from holdfast_server.stores.log import Log

from .event_frames import plain
from .listing import next_link, reading_a_page
from .operations import Asked, Query, answer, no_content
from .preferences import Preference, preference
from .request_shapes import (
    REQUESTS,
    CancelOutcome,
    Decision,
    DecisionTaken,
    Inspection,
    LogPage,
    RequestList,
    status_of,
)

LOG_BYTES_MAX: Final = 512 * 1024
"""Text bytes in one answer of the log as written; its `next` goes on from where it was cut."""

_log = structlog.get_logger(__name__)

OwnerText = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=OWNER_CHARS_MAX,
        description="Somebody else's, as `user` or `tenant/user` (operators only).",
    ),
]


class StatusQuery(Query, frozen=True, kw_only=True):
    """How much, and when."""

    wait: Annotated[
        float, msgspec.Meta(ge=0, le=86_400, description="Seconds to wait for the outcome, at most.")
    ] = 0.0
    parts: Annotated[
        bool, msgspec.Meta(description="Whether everything it shows is listed, beside the text.")
    ] = True


class ListQuery(Query, frozen=True, kw_only=True):
    """Which requests."""

    active: Annotated[bool, msgspec.Meta(description="Those without an outcome.")] = False
    everyone: Annotated[bool, msgspec.Meta(description="All users' (operators only).")] = False
    chat_id: (
        Annotated[str, msgspec.Meta(min_length=1, max_length=64, description="Those of this chat.")] | None
    ) = None
    status: Annotated[
        list[Status], msgspec.Meta(max_length=9, description="One of these; may be repeated.")
    ] = msgspec.field(default_factory=list)
    agent: Annotated[Name, msgspec.Meta(description="Those of this agent.")] | None = None
    text: Annotated[SearchText, msgspec.Meta(description="This in the title.")] | None = None
    tools: Annotated[bool, msgspec.Meta(description="With at least one tool call.")] = False
    limit: Annotated[
        ListLimit, msgspec.Meta(description="Rows at most; with a filter it may be fewer, and have a `next`.")
    ] = LIST_LIMIT_DEFAULT
    before: (
        Annotated[str, msgspec.Meta(max_length=200, description="The `next` of the page before.")] | None
    ) = None


class OwnerQuery(Query, frozen=True, kw_only=True):
    """Whose request."""

    owner: OwnerText | None = None


class LogQuery(OwnerQuery, frozen=True, kw_only=True):
    """Which part of the log."""

    start: Annotated[int, msgspec.Meta(ge=0, le=OFFSET_MAX, description="The offset to begin at.")] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000, description="Events at most.")] = 500


async def list_requests(asked: Asked) -> web.StreamResponse:
    """A page of those that fit."""
    query: ListQuery = asked.query
    if query.everyone and not asked.visit.operator:
        raise ProtocolError("not_permitted")
    with reading_a_page():
        rows, mark = await asked.desk.requests.list_requests(
            None if query.everyone else asked.visit.owner, query.active, query.chat_id, query.limit, query.before,
            which=Filter(frozenset(query.status), query.agent, query.text, query.tools),
        )  # fmt: skip
    return answer(RequestList(requests=rows, next=mark), headers=next_link(asked, REQUESTS, mark))


async def get_status(asked: Asked) -> web.StreamResponse:
    """A request as it is now, or as it is when it has ended. Who has seen just this is not sent it again."""
    query: StatusQuery = asked.query
    desk, visit = asked.desk, asked.visit
    log = await desk.requests.find(visit.owner, asked.id("request_id"))
    wished = preference(visit.request.headers)
    if visit.request.method == hdrs.METH_HEAD:
        if query.wait:
            raise Refused(400, "invalid", "HEAD does not wait; leave `wait` out, or use GET.", param="wait")
        wished = Preference()  # what is preferred may be passed over, and then it is not said to be applied
    await wait_sealed(visit, log, wished.seconds(query.wait, desk.wait_max_s))
    if log.erased:
        raise UnknownRequest(log.key.request_id)
    row = await desk.requests.row_of(log)
    etag = ETag(_tag(log, row, parts=query.parts), is_weak=True)
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "no-cache, private", hdrs.VARY: "Origin, Authorization"}
    headers |= wished.applied(desk.wait_max_s)
    if any(known.value in ("*", etag.value) for known in visit.request.if_none_match or ()):
        response = web.Response(status=304, headers=headers)
    else:
        response = answer(status_of(visit, log, row, parts=query.parts), headers=headers)
    response.etag = etag
    return response


def _tag(log: Log, row: RequestRow, *, parts: bool) -> str:
    """What changes when the status does: the log's end, and the place in the queue, which no log holds. An estimate alone is
    nothing new: it is told with the next place."""
    place = "" if row.place is None else f"{row.place}{row.queue_reason}"
    return f"{log.cursor()}.{place}{'' if parts else 't'}"


async def cancel(asked: Asked) -> web.StreamResponse:
    """End a request."""
    owner, request_id = _whose(asked)
    others = asked.query.owner is not None
    won, status = await asked.desk.requests.cancel(owner, request_id, by_operator=others)
    _note(asked, request_id, "an operator stopped a request")
    return answer(CancelOutcome(won=won, status=status))


async def delete(asked: Asked) -> web.StreamResponse:
    """Delete a request for good."""
    await asked.desk.requests.delete(asked.visit.owner, asked.id("request_id"))
    return no_content()


async def decide(asked: Asked) -> web.StreamResponse:
    """Answer what a request waits for."""
    body: Decision = asked.body
    accepted = await asked.desk.requests.decide(
        asked.visit.owner, asked.id("request_id"), body.wait_id, body.digest, body.decision
    )
    return answer(DecisionTaken(accepted=accepted))


async def inspect(asked: Asked) -> web.StreamResponse:
    """What is known beside the log."""
    owner, request_id = _whose(asked)
    row, readers, terms = await asked.desk.requests.inspect(owner, request_id)
    _note(asked, request_id, "an operator looked into a request")
    if asked.query.owner is not None:
        row = msgspec.structs.replace(row, owner=owner_name(owner))
    return answer(Inspection(request=row, readers=readers, terms=terms))


async def read_log(asked: Asked) -> web.StreamResponse:
    """The log as it was written."""
    query: LogQuery = asked.query
    owner, request_id = _whose(asked)
    events, after, sealed = await asked.desk.requests.read_events(owner, request_id, query.start, query.limit)
    _note(asked, request_id, "an operator read a request")
    fits = _fitting(events)
    if fits < len(events):
        after, sealed, events = after - (len(events) - fits), False, events[:fits]
    shown: Any = [plain(event) for event in events]
    return answer(LogPage(request_id=request_id, start=query.start, next=after, events=shown, sealed=sealed))


async def new_ticket(asked: Asked) -> web.StreamResponse:
    """A way in for where browsers cannot send a header."""
    return await ticket_call.new_ticket(asked.visit)


def _fitting(events: list[Event]) -> int:
    """How many of the events one answer takes: one at least."""
    room = LOG_BYTES_MAX
    for number, event in enumerate(events):
        room -= text_bytes(event)
        if room < 0 and number:
            return number
    return len(events)


def _whose(asked: Asked) -> tuple[Owner, str]:
    """Whose request is meant. Raises: UnknownRequest for others than operators who name somebody, whoever it is (I9)."""
    request_id = asked.id("request_id")
    query: OwnerQuery = asked.query
    if query.owner is None:
        return asked.visit.owner, request_id
    if not asked.visit.operator:
        raise UnknownRequest(request_id)
    return owner_named(query.owner), request_id


def _note(asked: Asked, request_id: str, doing: str) -> None:
    """Log what an operator did with a request of somebody's: who and which, nothing of what is in it."""
    query: OwnerQuery = asked.query
    if query.owner is not None:
        _log.info(doing, operator=owner_name(asked.visit.owner), owner=query.owner, request_id=request_id)

"""The events of a request, as one resource in three formats: server-sent events, NDJSON, and JSON for those who poll."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web

from holdfast_protocol.errors import ProtocolError
from holdfast_server.doors.reception import sole
from holdfast_server.doors.refusal import Refused
from holdfast_server.doors.streaming import EventStream, wait_beyond
from holdfast_server.journal import Place, place, snapshot
from holdfast_server.stores.base import UnknownRequest
from holdfast_server.stores.log import Log

from .event_frames import FORMATS, plain, stretch, write_log
from .operations import ID_HEADER, JSON, NDJSON, NEGOTIATED, SSE, Asked, TicketQuery, answer, no_content
from .preferences import preference, preferred
from .request_shapes import CURSOR_PATTERN, EventPage, arrival_of

LAST_EVENT_ID: Final = "Last-Event-ID"
EVENTS_MAX: Final = 10_000
"""Of the log, in one answer to who polls; the bytes of a page are bounded as well."""

_FORMAT_NAMES: Final = {"sse": SSE, "ndjson": NDJSON, "json": JSON}


class EventsQuery(TicketQuery, frozen=True, kw_only=True):
    """Where to begin, and how it shall look."""

    cursor: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=80,
                extra_json_schema={"pattern": CURSOR_PATTERN},
                description="The place to go on from, as any door handed it out. Without one the present comes first, as a snapshot.",
            ),
        ]
        | None
    ) = None
    format: (
        Annotated[Literal["sse", "ndjson", "json"], msgspec.Meta(description="Instead of the header Accept.")]
        | None
    ) = None
    wait: Annotated[
        float,
        msgspec.Meta(
            ge=0, le=86_400, description="JSON only: seconds to wait for something beyond the cursor."
        ),
    ] = 0.0
    limit: Annotated[
        int, msgspec.Meta(ge=1, le=EVENTS_MAX, description="JSON only: events of the log, at most.")
    ] = EVENTS_MAX


async def read_events(asked: Asked) -> web.StreamResponse:
    """Everything from a cursor on."""
    query: EventsQuery = asked.query
    visit = asked.visit
    log = await asked.desk.requests.find(visit.owner, asked.id("request_id"))
    last_id = sole(asked.visit.request, LAST_EVENT_ID) or None
    begin = _place(log, query.cursor if last_id is None else last_id, LAST_EVENT_ID if last_id else "cursor")
    media = (
        _FORMAT_NAMES[query.format]
        if query.format is not None
        else preferred(visit.request.headers, (JSON, SSE, NDJSON))
    )
    if media == JSON:
        return await _page(asked, log, begin)
    if media == SSE and last_id is not None and log.sealed and begin == Place(log.tail, None):
        return no_content()  # it has it all: with this EventSource stops coming back
    return await stream_log(asked, log, begin, media)


def _place(log: Log, cursor: str | None, param: str) -> Place:
    """Where a reader with this cursor begins. Raises: Refused if it is none."""
    try:
        return place(log, cursor)
    except ProtocolError as error:
        raise Refused(400, error.code, str(error), param=param) from None


async def stream_log(
    asked: Asked, log: Log, begin: Place, media: str, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """The log from a place on, until it ends or the reader goes."""
    told = {**(headers or {}), **NEGOTIATED, ID_HEADER: log.key.request_id}
    async with EventStream(asked.visit, media=media, headers=told) as stream:
        await write_log(stream, log, begin, FORMATS[media])
    return stream.response


async def _page(asked: Asked, log: Log, begin: Place) -> web.Response:
    """What there is beyond the cursor, at once or when it comes. Raises: UnknownRequest if it was deleted meanwhile."""
    query: EventsQuery = asked.query
    wished = preference(asked.visit.request.headers)
    wait_max_s = asked.desk.wait_max_s
    offset, reset = begin
    if reset is None:
        wait_s = wished.seconds(query.wait, wait_max_s)
        await wait_beyond(asked.visit, log, offset, wait_s)
        if log.superseded_at > offset:
            reset = "superseded"
    if log.erased:
        raise UnknownRequest(log.key.request_id)
    events: Any
    if reset is not None:
        events, after = snapshot(log), log.tail
    else:
        last = min(log.tail, offset + query.limit)
        events, after = stretch(log, offset, last, merged=True)
    arrived = after == log.tail
    page = EventPage(
        events=[plain(event) for event in events], cursor=str(log.cursor(after)), reset=reset,
        sealed=arrived and log.sealed, caught_up=arrival_of(log) if arrived else None,
    )  # fmt: skip
    return answer(page, headers={**NEGOTIATED, **wished.applied(wait_max_s)})

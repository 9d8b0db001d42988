"""One's feed over HTTP: the chats and what runs, then every change of them, with the WebSocket's cursors.

A frame holds some entries and the cursor behind them. Where the cursor that was sent is not good, or too far behind, the first
frame says why (`reset`) and holds the present. An entry is a whole row with a version, of which the higher one holds.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web

from holdfast_protocol.commands import CursorText
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.pushes import FeedEvent
from holdfast_protocol.replies import ResetReason
from holdfast_server.doors.reception import sole
from holdfast_server.doors.refusal import Refused
from holdfast_server.doors.streaming import EventStream, wait_until
from holdfast_server.feed import Feed
from holdfast_server.feed_delivery import ENTRIES_MAX
from holdfast_server.journal import Place
from holdfast_server.stores.base import Owner

from .framing import LAST_EVENT_ID, frame, opening
from .operations import JSON, NEGOTIATED, SSE, Asked, TicketQuery, answer
from .preferences import preference, preferred

FEED = "/v1/feed"

_FORMATS: Final = {"sse": SSE, "json": JSON}


class FeedPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some entries, and the cursor behind them. `reset`: why they are the present, and not what came since."""

    type: Literal["feed"] = "feed"
    reset: ResetReason | None
    events: list[FeedEvent]
    cursor: CursorText


class FeedQuery(TicketQuery, frozen=True, kw_only=True):
    """Where to go on, and how long to wait."""

    cursor: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=80, description="The place to go on from. Without one the present comes first."
            ),
        ]
        | None
    ) = None
    format: (
        Annotated[Literal["sse", "json"], msgspec.Meta(description="Instead of the header Accept.")] | None
    ) = None
    wait: Annotated[
        float, msgspec.Meta(ge=0, le=86_400, description="JSON only: seconds to wait for something new.")
    ] = 0.0


async def read_feed(asked: Asked) -> web.StreamResponse:
    """The feed from a cursor on: as a stream until the reader goes or the server closes, or one page."""
    query: FeedQuery = asked.query
    feed, owner = asked.desk.feed, asked.visit.owner
    if feed is None:
        raise Refused(404, "not_served", "This server has no feed.")
    last_id = sole(asked.visit.request, LAST_EVENT_ID) or None
    try:
        place = feed.place(owner, last_id or query.cursor)
    except ProtocolError as error:
        raise Refused(400, error.code, str(error), param=LAST_EVENT_ID if last_id else "cursor") from None
    feed.hold(owner)
    try:
        media = (
            _FORMATS[query.format]
            if query.format is not None
            else preferred(asked.visit.request.headers, (JSON, SSE))
        )
        if media == SSE:
            return await _stream(asked, feed, place)
        wished = preference(asked.visit.request.headers)
        if place.reset is None:
            wait_s = wished.seconds(query.wait, asked.desk.wait_max_s)
            await wait_until(
                asked.visit,
                lambda: feed.tail(owner) != place.offset,
                lambda: feed.wait(owner, place.offset),
                wait_s,
            )
        page, _ = await _page(feed, owner, place.offset, place.reset)
        return answer(page, headers={**NEGOTIATED, **wished.applied(asked.desk.wait_max_s)})
    finally:
        feed.let_go(owner)


async def _stream(asked: Asked, feed: Feed, place: Place) -> web.StreamResponse:
    """Everything from there on."""
    owner, reception = asked.visit.owner, asked.visit.reception
    page, offset = await _page(feed, owner, place.offset, place.reset)
    async with EventStream(asked.visit, headers=dict(NEGOTIATED)) as stream:
        await stream.write(opening(SSE))
        while not reception.closed:
            if page.events or page.reset is not None:
                await stream.write(frame(SSE, page.type, page, page.cursor))
            elif not await reception.within(feed.wait(owner, offset), reception.settings.keep_alive_s):
                await stream.keep_alive()
            page, offset = await _page(feed, owner, offset, None)
    return stream.response


async def _page(feed: Feed, owner: Owner, offset: int, reset: ResetReason | None) -> tuple[FeedPage, int]:
    """What comes next, and the offset behind it. Raises: Unavailable."""
    found = feed.read(owner, offset, ENTRIES_MAX) if reset is None else None
    if found is None:
        reset = reset or "purged"
        found = await feed.snapshot(owner)
    events, offset = found
    return FeedPage(reset=reset, events=events, cursor=feed.cursor_text(owner, offset)), offset

"""Asking something over HTTP: accepted at once, or answered with the answer if that is there in time, or streamed."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

from aiohttp import hdrs, web

from holdfast_server.doors.bodies import KEY_HEADER, idempotent_id
from holdfast_server.doors.refusal import Refused, conflict
from holdfast_server.doors.streaming import wait_until
from holdfast_server.journal import place
from holdfast_server.requests import Opened
from holdfast_server.stores.base import RequestConflict, UnknownRequest, key_of
from holdfast_server.stores.log import Log

from .event_calls import stream_log
from .operations import ID_HEADER, JSON, NDJSON, NEGOTIATED, SSE, Asked, answer, local, path_of
from .preferences import preference, preferred
from .request_shapes import EVENTS, REQUEST, NewRequest, accepted_of, status_of

NOT_CONFIGURED: Final = (
    "Webhooks are not configured here: ask whoever runs this server, or follow the events."
)


async def submit(asked: Asked) -> web.StreamResponse:
    """Accept a request, and answer as the caller prefers."""
    visit, desk = asked.visit, asked.desk
    new: NewRequest = asked.body
    try:
        opened = await open_request(asked, new)
    except RequestConflict:
        raise conflict(KEY_HEADER if new.request_id is None else "request_id") from None
    log = opened.log
    headers = addresses(asked, log)
    media = preferred(visit.request.headers, (JSON, SSE, NDJSON))
    if media != JSON:
        return await stream_log(asked, log, place(log, str(log.cursor(0))), media, headers)
    wished = preference(visit.request.headers)
    wait_s = wished.seconds(desk.default_wait_s, desk.wait_max_s)
    if wait_s > 0 and not log.sealed:
        # A run that waits for a person may do so for days: who asked is told at once that there is something to decide.
        await wait_until(
            visit,
            lambda: log.sealed or log.erased or log.status == "waiting",
            lambda: log.wait(log.tail),
            wait_s,
            log=log,
        )
    if log.erased:
        raise UnknownRequest(log.key.request_id)
    headers |= {**NEGOTIATED, **wished.applied(desk.wait_max_s)}
    if wait_s > 0 and log.sealed:
        row = await desk.requests.row_of(log)
        return answer(status_of(visit, log, row, parts=True), headers=headers)
    return answer(accepted_of(visit, log, created=opened.created), 202, headers)


async def open_request(asked: Asked, new: NewRequest, request_id: str | None = None) -> Opened:
    """The request, durable; with its webhook armed before it. Its id: the body's, else the given one, else the
    Idempotency-Key's. Raises: Refused, ProtocolError, StoreError."""
    desk, owner = asked.desk, asked.visit.owner
    # Read in any case: a bad one is refused, not ignored where it is not needed.
    key = idempotent_id(asked.visit)
    request_id = new.request_id or request_id or key or desk.new_id()
    submission = new.submission(request_id)
    if new.webhook is None:
        return await desk.requests.submit(owner, submission)
    url = new.webhook.url
    webhooks = desk.webhooks
    if webhooks is None or not webhooks.configured:
        raise Refused(400, "webhooks_not_configured", NOT_CONFIGURED, param="webhook")
    fault = webhooks.check_url(url)
    if fault is not None:
        raise Refused(400, "invalid", fault, param="webhook.url")
    async with AsyncExitStack() as armed:
        await armed.enter_async_context(webhooks.arming(key_of(owner, request_id), url))
        return await desk.requests.submit(owner, submission, envelope={"http": {"webhook": url}})


def addresses(asked: Asked, log: Log) -> dict[str, str]:
    """Where the request is, and where its events are, as headers."""
    own = local(asked.visit, path_of(REQUEST, request_id=log.key.request_id))
    events = local(asked.visit, path_of(EVENTS, request_id=log.key.request_id))
    return {hdrs.LOCATION: own, hdrs.LINK: f'<{events}>; rel="events"', ID_HEADER: log.key.request_id}

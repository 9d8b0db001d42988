"""A request's webhook over HTTP: what was tried, and trying once more."""

from __future__ import annotations

from aiohttp import web

from holdfast_server.doors.refusal import Refused
from holdfast_server.stores.base import key_of
from holdfast_server.webhook_terms import Hook, State

from .operations import Asked, answer
from .request_shapes import REQUEST, Shape

WEBHOOKS = REQUEST + "/webhooks"
REDELIVER = WEBHOOKS + "/redeliver"


class DeliveryTry(Shape, frozen=True, kw_only=True):
    """One try: the status that came back, or the error; `said` is the beginning of what the receiver answered. `at` is in
    milliseconds since 1970."""

    at: int
    duration_ms: int
    status: int | None
    error: str | None
    said: str


class Delivery(Shape, frozen=True, kw_only=True):
    """A webhook and its latest tries, the oldest first. `state`: armed (the request has no outcome yet), due (it is tried, the
    next time at `next_at`), delivered, gone (the receiver wants no more) or given_up. `delivery_id` is the header
    `webhook-id` of every try."""

    url: str
    state: State
    delivery_id: str
    created_at: int
    next_at: int | None
    tries: list[DeliveryTry]


class DeliveryLog(Shape, frozen=True, kw_only=True):
    """The webhooks of a request: one, or none."""

    webhooks: list[Delivery]


class Redelivery(Shape, frozen=True, kw_only=True):
    """It is tried again now; the delivery log tells what comes of it."""

    due: bool


async def read_deliveries(asked: Asked) -> web.StreamResponse:
    """What was tried."""
    hook = await _hook(asked)
    return answer(DeliveryLog(webhooks=[] if hook is None else [_shown(hook)]))


async def redeliver(asked: Asked) -> web.StreamResponse:
    """Try it once more, whatever became of it before."""
    hook = await _hook(asked)
    webhooks = asked.desk.webhooks
    if hook is None or webhooks is None:
        raise Refused(404, "unknown_webhook", "This request has no webhook.")
    if not webhooks.configured:
        raise Refused(409, "webhooks_not_configured", "Webhooks are switched off here: nothing is sent.")
    if not await webhooks.redeliver(hook.key):
        raise Refused(409, "no_outcome", "The request has no outcome yet; its webhook is called when it has.")
    return answer(Redelivery(due=True), 202)


async def _hook(asked: Asked) -> Hook | None:
    """The webhook of the request in the path. Raises: UnknownRequest, Unavailable."""
    request_id = asked.id("request_id")
    await asked.desk.requests.find(asked.visit.owner, request_id)
    if asked.desk.webhooks is None:
        return None
    return await asked.desk.webhooks.find(key_of(asked.visit.owner, request_id))


def _shown(hook: Hook) -> Delivery:
    tries = [
        DeliveryTry(
            at=one.at, duration_ms=one.duration_ms, status=one.status, error=one.error or None, said=one.said
        )
        for one in hook.tries
    ]
    return Delivery(
        url=hook.url, state=hook.state, delivery_id=hook.delivery_id, created_at=hook.created_at,
        next_at=hook.next_at if hook.state == "due" else None, tries=tries,
    )  # fmt: skip

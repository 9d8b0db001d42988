"""Commands that look at requests, and the one that stops one: one's own, or, for operators, anybody's.

Whoever names an owner without being an operator is answered as for what is not there, whoever that is, oneself too (I9).
What operators do with others' requests is logged: who, and which; nothing of what is in it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import structlog

from holdfast_protocol import commands as cm
from holdfast_protocol import replies as rp
from holdfast_protocol.errors import ProtocolError
from holdfast_protocol.rewrite import text_bytes
from holdfast_server.filters import Filter
from holdfast_server.identity import owner_name, owner_named
from holdfast_server.stores.base import Owner, UnknownRequest

from .desk import Answer, Caller, Desk

LOG_BYTES_MAX: Final = 512 * 1024
"""Text bytes in one reply to read_events; the reply's `next` goes on from where it was cut."""

log = structlog.get_logger(__name__)


def _owner_meant(caller: Caller, command: cm.Cancel | cm.Inspect | cm.ReadEvents) -> Owner:
    """The caller, or whom an operator names. Raises: UnknownRequest for others who name somebody, whoever it is: what is
    not theirs is not there."""
    if command.owner is None:
        return caller.owner
    if not caller.operator:
        raise UnknownRequest(command.request_id)
    return owner_named(command.owner)


def _note(caller: Caller, command: cm.Cancel | cm.Inspect | cm.ReadEvents, doing: str) -> None:
    """Log what an operator did with a request of somebody's: who and which, nothing of what is in it."""
    if command.owner is not None:
        log.info(
            doing, operator=owner_name(caller.owner), owner=command.owner, request_id=command.request_id
        )  # fmt: skip


async def cancel(desk: Desk, caller: Caller, command: cm.Cancel) -> Answer:
    """End a request."""
    owner = _owner_meant(caller, command)
    won, status = await desk.requests.cancel(owner, command.request_id, by_operator=command.owner is not None)
    _note(caller, command, "an operator stopped a request")
    return Answer(rp.CancelResult(ref=command.ref, won=won, status=status))


async def list_requests(desk: Desk, caller: Caller, command: cm.ListRequests) -> Answer:
    """A page of those that fit."""
    if command.everyone and not caller.operator:
        raise ProtocolError("not_permitted")
    which = Filter(frozenset(command.status), command.agent, command.text, command.tools)
    owner = None if command.everyone else caller.owner
    rows, mark = await desk.requests.list_requests(
        owner, command.active, command.chat_id, command.limit, command.before, which=which
    )
    return Answer(rp.Requests(ref=command.ref, requests=rows, next=mark))


async def read_events(desk: Desk, caller: Caller, command: cm.ReadEvents) -> Answer:
    """The log as it was written."""
    events, after, sealed = await desk.requests.read_events(
        _owner_meant(caller, command), command.request_id, command.start, command.limit
    )
    _note(caller, command, "an operator read a request")
    room = LOG_BYTES_MAX
    for number, event in enumerate(events):
        room -= text_bytes(event)
        if room < 0 and number:
            after, sealed = after - (len(events) - number), False
            events = events[:number]
            break
    shown: list[Any] = events
    reply = rp.Log(
        ref=command.ref,
        request_id=command.request_id,
        start=command.start,
        next=after,
        events=shown,
        sealed=sealed,
    )
    return Answer(reply)


async def inspect(desk: Desk, caller: Caller, command: cm.Inspect) -> Answer:
    """What is known beside the log."""
    owner = _owner_meant(caller, command)
    row, readers, terms = await desk.requests.inspect(owner, command.request_id)
    _note(caller, command, "an operator looked into a request")
    if command.owner is not None:
        row = msgspec.structs.replace(row, owner=owner_name(owner))
    return Answer(rp.Inspected(ref=command.ref, request=row, readers=readers, terms=terms))

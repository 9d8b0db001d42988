"""Tickets: a way in for browsers where they cannot send a header, which is EventSource and WebSocket.

Who has shown a token gets a ticket, which lets in once, within a minute, as the same user; it stands in an address, so it
must be worth nothing to who reads a log later. Where several nodes share a store it lets in at any of them, once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from typing import Final, NamedTuple

import msgspec

from holdfast_server.peers import Peers
from holdfast_server.stores.base import Owner

TICKET_S: Final = 60.0
"""How long a ticket may wait to be used."""

TICKETS_MAX: Final = 10_000
"""Tickets out at once; beyond it the oldest go, a few hundred bytes each."""


class _Ticket(NamedTuple):
    owner: Owner
    operator: bool
    until: float


_KIND: Final = "ticket"
_DECODER: Final = msgspec.msgpack.Decoder(tuple[Owner, bool])


class Tickets:
    """The tickets that one node gives. Times are the loop's."""

    def __init__(self, peers: Peers | None = None) -> None:
        self._peers = peers if peers is not None else Peers()
        self._out: OrderedDict[bytes, _Ticket] = OrderedDict()

    async def issue(self, owner: Owner, operator: bool, now: float) -> str:
        """A fresh ticket. Raises: Unavailable."""
        if not self._peers.alone:
            text = secrets.token_urlsafe(24)
            await self._peers.put_once(_KIND, text, msgspec.msgpack.encode((owner, operator)), TICKET_S)
            return text
        while self._out and (len(self._out) >= TICKETS_MAX or next(iter(self._out.values())).until <= now):
            self._out.popitem(last=False)
        text = secrets.token_urlsafe(24)
        self._out[_digest(text)] = _Ticket(owner, operator, now + TICKET_S)
        return text

    async def take(self, text: str, now: float) -> tuple[Owner, bool] | None:
        """Whose ticket it is, and whether an operator's; None: it is none, or not any more. It is used up by this. Raises:
        Unavailable."""
        if not self._peers.alone:
            kept = await self._peers.take_once(_KIND, text)
            return None if kept is None else _DECODER.decode(kept)
        ticket = self._out.pop(_digest(text), None)
        if ticket is None or ticket.until <= now:
            return None
        return ticket.owner, ticket.operator


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

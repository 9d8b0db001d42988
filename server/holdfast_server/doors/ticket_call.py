"""`POST /v1/tickets`, which every HTTP door needs that serves browsers, whichever others are open."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from aiohttp import hdrs, web

from .bodies import read_nothing
from .reception import Visit
from .tickets import TICKET_S

TICKETS: Final = "/v1/tickets"


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """Lets in once, as you, for so many seconds: as `?ticket=` where a browser cannot send a header."""

    ticket: str
    expires_in_s: float


async def new_ticket(visit: Visit) -> web.StreamResponse:
    """A way in for where browsers cannot send a header."""
    await read_nothing(visit)
    now = asyncio.get_running_loop().time()
    ticket = await visit.reception.tickets.issue(visit.owner, visit.operator, now)
    return web.Response(
        status=201,
        body=msgspec.json.encode(Ticket(ticket=ticket, expires_in_s=TICKET_S)),
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )

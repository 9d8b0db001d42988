"""How an answer leaves this door: as one object, or as a stream; and what happens when its reader is gone.

By default nothing happens: the answer is made in any case, and can be got later. A caller that wants the run to end with its
call says so by a header. An answer that its caller did not want stored is erased once its end was handed over whole: what a
broken connection cost can so still be got.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from holdfast_server.doors.http_desk import HttpDesk
from holdfast_server.doors.reception import Visit, sole
from holdfast_server.doors.refusal import Refused
from holdfast_server.doors.streaming import EventStream
from holdfast_server.projections.response_envelope import envelope_of
from holdfast_server.reels import asked_of
from holdfast_server.stores.base import StoreError
from holdfast_server.stores.log import Log

CANCEL_HEADER: Final = "X-Cancel-On-Disconnect"

_SAID: Final = {"1": True, "true": True, "0": False, "false": False}

ID_HEADER: Final = "X-Request-Id"

Tell = Callable[[EventStream], Awaitable[None]]


def json_response(value: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    """A value as a response, which nobody on its way keeps."""
    return web.Response(
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store", **(headers or {})},
    )


def headers_of(log: Log) -> dict[str, str]:
    """What every response about a request carries: under this id it is found through any door."""
    return {ID_HEADER: log.key.request_id}


def ends_with_call(visit: Visit) -> bool:
    """Whether the caller wants the run to end if it hangs up. Ask before anything is begun. Raises: Refused for what is neither
    yes nor no: whoever says it counts on something."""
    said = sole(visit.request, CANCEL_HEADER)
    if said is None:
        return False
    if (wants := _SAID.get(said.strip().lower())) is None:
        raise Refused(400, "invalid", f"`{CANCEL_HEADER}` is 1 or 0, true or false.", param=CANCEL_HEADER)
    return wants


class Delivering:
    """Hands answers over. One for the door."""

    def __init__(self, desk: HttpDesk) -> None:
        self._requests = desk.requests

    async def hand_over(self, visit: Visit, log: Log, value: Any) -> web.StreamResponse:
        """Send the object; if it is the last of what was not to be stored, erase that."""
        response = json_response(value, headers_of(log))
        if not self._passing(log):
            return response
        for name, shared in visit.reception.shared(visit.request).items():
            response.headers.setdefault(name, shared)
        sent = await visit.reception.outgoing.send(visit.request, response, visit.owner)
        await sent.prepare(visit.request)
        await sent.write_eof()
        if not visit.gone:
            await self.let_go(log)
        return sent

    async def stream(
        self, visit: Visit, log: Log, tell: Tell, *, cancels: bool = False
    ) -> web.StreamResponse:
        """Send what `tell` writes. `cancels`: the run ends if the reader goes. Raises: what `tell` does."""
        stream = EventStream(visit, headers=headers_of(log))
        told = False
        async with stream:
            try:
                await tell(stream)
                told = True
            except ConnectionError:
                if cancels and not (visit.reception.closed or log.lost):
                    await self.cancel(log)
                raise
        if told and not visit.gone:
            await self.let_go(log)
        return stream.response

    async def cancel(self, log: Log) -> None:
        """End the run of a caller who is gone; nobody is there to be told if it cannot be done. What has ended stays as it
        is."""
        try:
            await self._requests.cancel(log.key.owner, log.key.request_id)
        except StoreError:
            return

    async def let_go(self, log: Log) -> None:
        """Its end was handed over: erase it, if it was not to be stored."""
        if not self._passing(log):
            return
        try:
            await self._requests.delete(log.key.owner, log.key.request_id)
        except StoreError:
            return  # the next one who reads its end erases it

    @staticmethod
    def _passing(log: Log) -> bool:
        """Whether it has ended and was not to be stored."""
        return log.sealed and log.record.chat_id is None and not envelope_of(asked_of(log)).store


def not_ended(visit: Visit, log: Log) -> Refused:
    """Why a stream ends before its answer does: the connection breaks off, so that nobody takes it for the end."""
    if log.erased:
        return Refused(410, "erased", "The response was deleted.")
    assert visit.reception.closed
    return Refused(503, "draining", "The server restarts; go on where you are in a moment.")

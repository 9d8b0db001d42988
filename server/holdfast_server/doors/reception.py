"""What all HTTP doors share on the way in: who asks, from where, how often, and how much of it at once.

A door adds its routes here; a handler is called with a `Visit` once it is known whose it is. In this order: the server
closes; Host (where no token is needed, a page whose own name was made to point here must not count as ours); Origin; the
token, or a ticket where browsers cannot send one; the rate; the places. Whatever a handler raises is told in one shape
(refusal.py). Pages of permitted origins get what browsers want to see of CORS; no cookie is ever read, so there is nothing
that a foreign page could use.

The end of a connection ends the handler's waiting and nothing else (I5).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from holdfast_server.identity import Identity
from holdfast_server.peers import Peers
from holdfast_server.readers import Readers
from holdfast_server.stores.base import Owner, UnknownRequest

from .answers import Outgoing, gone, weight_of
from .gate import Bucket
from .lost import LogLost
from .origins import Origins, hides_body, is_foreign_pages, is_own_name
from .outside import HOST, Outside
from .refusal import FORESEEN, Refused, refused_of, response_of
from .tickets import Tickets

BUCKETS_MAX: Final = 10_000
"""Users whose rate is remembered; who is forgotten has a full bucket again."""

PREFLIGHT_S: Final = 600
"""How long a browser remembers what a page may send."""

EXPOSED: Final = (
    "ETag, Location, Content-Location, Retry-After, Preference-Applied, Link, X-Request-Id, X-Should-Retry"
)
"""Response headers that a page of another origin may read."""

_CODES: Final = {404: "not_found", 405: "method_not_allowed"}


@dataclass(frozen=True, slots=True)
class ReceptionSettings:
    """Its bounds. `calls`: HTTP calls in flight, streams and waits among them."""

    allowed_origins: tuple[str, ...] = ()
    calls_max: int = 10_000
    user_calls_max: int = 100
    calls_per_s: float = 50.0
    calls_burst: int = 200
    keep_alive_s: float = 15.0
    no_progress_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Visit:
    """One call of a user. `operator`: may look at everybody's."""

    request: web.Request
    owner: Owner
    operator: bool
    reception: Reception = field(repr=False)

    @property
    def base_url(self) -> str:
        """What absolute addresses begin with."""
        return self.reception.outside.base_url(self.request)

    @property
    def client(self) -> str:
        """What the other end calls itself."""
        return self.request.headers.get(hdrs.USER_AGENT, "")

    @property
    def gone(self) -> bool:
        """Whether the other end has hung up."""
        return gone(self.request)


Call = Callable[[Visit], Awaitable[web.StreamResponse]]


class Reception:
    """See the module's text."""

    def __init__(
        self,
        identity: Identity,
        *,
        readers: Readers,
        settings: ReceptionSettings | None = None,
        outside: Outside | None = None,
        peers: Peers | None = None,
    ) -> None:
        self.readers = readers
        self.settings = settings or ReceptionSettings()
        self.outside = outside or Outside()
        self.peers = peers if peers is not None else Peers()
        self.tickets = Tickets(self.peers)
        self.outgoing = Outgoing(self.settings.no_progress_s)
        self._identity = identity
        own = self.outside.origin
        allowed = [*self.settings.allowed_origins, *([own] if own else [])]
        self._origins = Origins(allowed, own_names_only=not identity.needs_token)
        self._own_host = own.partition("://")[2].lower() if own else None
        self._buckets: OrderedDict[Owner, Bucket] = OrderedDict()
        self._calls: Counter[Owner] = Counter()
        self._prefixes: set[str] = set()
        self._methods: dict[str, list[str]] = {}
        self._waits: set[asyncio.Timeout] = set()
        self.closed = False
        self.docs = False
        """Whether /docs is served."""

    # -- routes ----------------------------------------------------------------------------------------------

    def add(
        self,
        app: web.Application,
        method: str,
        path: str,
        call: Call,
        *,
        ticket: bool = False,
        head: bool = False,
    ) -> None:
        """Serve a path. `ticket`: `?ticket=` lets in as well (EventSource, WebSocket). `head`: HEAD is answered as this GET
        is, which then must neither stream, nor wait for long, nor change anything."""

        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, call, ticket=ticket)

        async def preflight(request: web.Request) -> web.StreamResponse:
            return self._preflight(request, path)

        known = self._methods.setdefault(path, [])
        if not known:
            app.router.add_route(hdrs.METH_OPTIONS, path, preflight)
        known.append(method)
        if method == hdrs.METH_GET:
            app.router.add_get(path, serve, allow_head=head)
            known += [hdrs.METH_HEAD] if head else []
        else:
            app.router.add_route(method, path, serve)
        self._prefixes.add("/" + path.split("/")[1])

    def guard(self, app: web.Application) -> None:
        """Let what is not there under the doors' own paths be told in their shape too. Call it once."""
        app.middlewares.append(self._unknown)

    @web.middleware
    async def _unknown(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        wrong = request.match_info.http_exception
        path = request.path
        # `OPTIONS *` and CONNECT ask for no path; they are told here too.
        ours = not path.startswith("/") or "/" + path.split("/")[1] in self._prefixes
        if wrong is None or not ours:
            return await handler(request)
        headers: dict[str, str] = (
            {hdrs.ALLOW: wrong.headers[hdrs.ALLOW]} if hdrs.ALLOW in wrong.headers else {}
        )
        text = f"There is no {f'{request.method} {path[:200]}'.strip()} here."
        if self.docs:
            text += " /docs lists the native API."
        response = response_of(
            Refused(wrong.status, _CODES.get(wrong.status, "not_found"), text, headers=headers)
        )
        self._share(request, response)
        return response

    # -- one call --------------------------------------------------------------------------------------------

    async def _serve(self, request: web.Request, call: Call, *, ticket: bool) -> web.StreamResponse:
        response: web.StreamResponse
        try:
            owner, operator = await self._admit(request, ticket=ticket)
            with self.place(owner):
                response = await self._answer(Visit(request, owner, operator, self), call)
        except ConnectionError:
            response = web.Response(status=499)  # nobody is there to read it
        except web.HTTPException as error:
            if not isinstance(error, FORESEEN):
                raise
            response = response_of(refused_of(error))
        except FORESEEN as error:
            response = response_of(refused_of(error))
        except Exception as error:  # noqa: BLE001 - told under a number, and logged
            response = response_of(refused_of(error, f"{request.method} {request.path}"))
        if not response.prepared:
            self._share(request, response)
        return response

    async def _answer(self, visit: Visit, call: Call) -> web.StreamResponse:
        """The answer; a large one is sent here, while it has its place. What only reads and finds no room is made anew once
        there is: so that what waits weighs nothing."""
        response = await self._called(visit, call)
        if visit.request.method == hdrs.METH_HEAD:
            return response  # nothing of it is sent but its headers
        size = weight_of(response)
        if not size or visit.request.method != hdrs.METH_GET or self.outgoing.fits(visit.owner, size):
            return await self._send(visit, response)
        del response
        async with self.outgoing.room(visit.owner, size):
            return await self._send(visit, await call(visit), has_room=True)

    @staticmethod
    async def _called(visit: Visit, call: Call) -> web.StreamResponse:
        """What the door says. Who only reads, and whose log has lost its past while he waited, is answered from the log that
        has taken its place; until that is there he is told to try again."""
        try:
            return await call(visit)
        except LogLost:
            if visit.request.method not in (hdrs.METH_GET, hdrs.METH_HEAD):
                raise
        try:
            return await call(visit)
        except UnknownRequest:
            raise LogLost from None

    async def _send(
        self, visit: Visit, response: web.StreamResponse, *, has_room: bool = False
    ) -> web.StreamResponse:
        if not isinstance(response, web.Response) or not weight_of(response):
            return response
        self._share(visit.request, response)
        return await self.outgoing.send(visit.request, response, visit.owner, has_room=has_room)

    async def _admit(self, request: web.Request, *, ticket: bool) -> tuple[Owner, bool]:
        """Whose call it is. Raises: Refused, Unavailable."""
        if self.closed:
            raise Refused(503, "draining", "The server restarts; try again in a moment.")
        host = request.headers.get(hdrs.HOST)
        if not self._identity.needs_token and not (
            host is None or is_own_name(host) or host.lower() == self._own_host
        ):
            raise Refused(421, "wrong_host", "This server answers to its own names only.")
        if host is not None and not HOST.fullmatch(host):
            raise Refused(400, "malformed", "The Host header names no host.")
        if hides_body(request.headers):
            raise Refused(400, "malformed", "A WebSocket handshake has no body.")
        if is_foreign_pages(request.headers):
            raise Refused(403, "origin", "Pages of other sites may not use the server.")
        if not self._origins.permit(request.headers.get(hdrs.ORIGIN), host):
            raise Refused(403, "origin", "Pages of this origin may not use the server.")
        token = bearer(request)
        if ticket and (text := request.query.get("ticket")) is not None:
            found = await self.tickets.take(text, asyncio.get_running_loop().time())
            if found is None:
                raise Refused(401, "unauthenticated", "The ticket is used up or too old; get a new one.")
            return found
        owner = self._identity.owner_of(token)
        if owner is None:
            raise Refused(401, "unauthenticated", "Send a valid token: `Authorization: Bearer ...`.")
        return owner, self._identity.is_operator(token)

    @contextmanager
    def place(self, owner: Owner) -> Iterator[None]:
        """Count as a call what costs as much as one, while it lasts. Raises: Refused."""
        self._take(owner)
        try:
            yield
        finally:
            self._give_back(owner)

    def _take(self, owner: Owner) -> None:
        """Count the call. Raises: Refused."""
        settings, now = self.settings, asyncio.get_running_loop().time()
        bucket = self._buckets.get(owner)
        if bucket is None:
            bucket = self._buckets[owner] = Bucket(settings.calls_per_s, settings.calls_burst, now)
            if len(self._buckets) > BUCKETS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(owner)
        if not bucket.take(now):
            raise Refused(
                429, "rate_limited", "Too many calls; slow down.", retry_after_s=bucket.wait_ms / 1000
            )
        if self._calls.total() >= settings.calls_max:
            raise Refused(503, "overloaded", "This server has all the calls it can hold; try again later.")
        if self._calls[owner] >= settings.user_calls_max:
            raise Refused(
                429, "too_many_calls", "You have too many calls open at once; end one first.", retry_after_s=1
            )
        self._calls[owner] += 1

    def _give_back(self, owner: Owner) -> None:
        self._calls[owner] -= 1
        if not self._calls[owner]:
            del self._calls[owner]

    # -- CORS ------------------------------------------------------------------------------------------------

    def _share(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tell the browser that the page may read this. Pages that may not were refused, and may not read that either."""
        for name, value in self.shared(request).items():
            response.headers.setdefault(name, value)

    def shared(self, request: web.Request) -> dict[str, str]:
        """The headers with which a page of another origin may read a response to this."""
        origin = request.headers.get(hdrs.ORIGIN)
        headers: dict[str, str] = {hdrs.VARY: hdrs.ORIGIN}
        if origin is not None and self._origins.permit(origin, request.headers.get(hdrs.HOST)):
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED
        return headers

    def _preflight(self, request: web.Request, path: str) -> web.StreamResponse:
        if not self._origins.permit(request.headers.get(hdrs.ORIGIN), request.headers.get(hdrs.HOST)):
            return response_of(Refused(403, "origin", "Pages of this origin may not use the server."))
        asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "")
        headers = self.shared(request) | {
            hdrs.ALLOW: ", ".join([*self._methods[path], hdrs.METH_OPTIONS]),
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: ", ".join(self._methods[path]),
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_S),
        }
        if asked:
            headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = asked[:1000]
        return web.Response(status=204, headers=headers)

    # -- waiting ---------------------------------------------------------------------------------------------

    async def within(self, waiting: Awaitable[object], seconds: float) -> bool:
        """Wait for that, so long at most; false if it did not come in time, or the server closes."""
        try:
            async with asyncio.timeout(0 if self.closed else seconds) as limit:
                self._waits.add(limit)
                try:
                    await waiting
                finally:
                    self._waits.discard(limit)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Take no more calls, and end the waiting of those that are there."""
        self.closed = True
        now = asyncio.get_running_loop().time()
        for limit in list(self._waits):
            with contextlib.suppress(RuntimeError):  # one that runs out in this very moment says no
                limit.reschedule(now)


def bearer(request: web.BaseRequest) -> str | None:
    """The token of the Authorization header; empty, which no token is, for another scheme. Raises: Refused."""
    value = sole(request, hdrs.AUTHORIZATION, "malformed")
    if value is None:
        return None
    scheme, _, token = value.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def sole(request: web.BaseRequest, name: str, code: str = "invalid") -> str | None:
    """A header that stands for one thing. Raises: Refused if it is there twice: which of them was meant nobody can tell, and
    what stands in front of us may have looked at the other one."""
    values = request.headers.getall(name, [])
    if len(values) > 1:
        name = str(name)
        raise Refused(400, code, f"The header {name} was sent more than once; send it once.", param=name)
    return values[0] if values else None

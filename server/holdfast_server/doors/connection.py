"""Connections as aiohttp keeps them, but what its parser refuses is told in the shape of every other refusal.

The library answers such calls itself, before any door sees them, in plain text that quotes what was sent, and logs them as
failures. Here nothing of the call is said again, and nothing is logged: anybody can send nonsense. The connection ends with
it, since nobody can tell where the next call would begin.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong

from .headers import STRICT
from .refusal import Refused, response_of

ADDRESS_BYTES_MAX: Final = 8_192
"""Path and query: what servers usually take. It differs from `FIELD_BYTES_MAX`, so that it can be told which was passed."""

FIELD_BYTES_MAX: Final = 8_190
"""One header, its name with it; a token has some hundreds."""

FIELDS_MAX: Final = 128
"""Headers of one call: browsers and proxies send thirty."""

_TOO_MANY: Final = "Too many headers"
"""How the library begins to say so; in other words it is a call that is malformed."""


Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Runner(web.AppRunner):
    """As the library's, with `Connection` for every connection. `options`: those of `web.RequestHandler`."""

    def __init__(self, app: web.Application, *, shutdown_timeout: float = 60.0, **options: Any) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout)
        self._options = {
            "max_line_size": ADDRESS_BYTES_MAX,
            "max_field_size": FIELD_BYTES_MAX,
            "max_headers": FIELDS_MAX,
            **options,
        }

    async def _make_server(self) -> web.Server:
        return _Server(await super()._make_server(), self._options)


class _Server(web.Server):
    """The same server, whose connections are ours."""

    def __init__(self, made: web.Server, options: dict[str, Any]) -> None:
        super().__init__(_expecting_little(made.request_handler), request_factory=made.request_factory)
        self._options = options

    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)


def _expecting_little(answer: Answering) -> Answering:
    """As the app answers; an expectation that nobody can meet, which the library refuses before any door is asked, is told as
    doors tell it."""

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await answer(request)
        except web.HTTPExpectationFailed:
            text = "Only `Expect: 100-continue` can be met here; leave the header out."
            return response_of(Refused(417, "invalid", text, param="Expect"))

    return serve


class Connection(web.RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What to answer to a call that could not be read, or whose handler failed. Raises: ConnectionError if the answer had
        begun."""
        if status != HTTPStatus.BAD_REQUEST or not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        response = response_of(_refused(exc))
        response.headers.update({hdrs.SERVER: "holdfast", **STRICT})  # no app sees this response
        response.force_close()
        return response


def _refused(error: HttpProcessingError) -> Refused:
    """What is wrong with the call, in words of ours alone."""
    if isinstance(error, LineTooLong):
        if error.args[1:2] == (ADDRESS_BYTES_MAX,):
            return Refused(
                414, "too_large", f"The address is longer than {ADDRESS_BYTES_MAX} bytes; shorten it."
            )
        return Refused(431, "too_large", f"A header is longer than {FIELD_BYTES_MAX} bytes; shorten it.")
    if error.message.startswith(_TOO_MANY):
        return Refused(431, "too_large", f"There are more than {FIELDS_MAX} headers; send fewer.")
    return Refused(
        400, "malformed", "This is no valid HTTP; look at the address, the headers and the length."
    )

"""What the API says of itself over HTTP: /openapi.json for programs, /docs for people. Neither holds anything secret."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import msgspec
from aiohttp import ETag, hdrs, web

from holdfast_server.doors.outside import Outside

from .docs_page import page_of
from .docs_style import STYLE
from .openapi import document
from .operations import JSON, Operation

DOCS_CSP: Final = (
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""A page of text and one style sheet: nothing in it can run."""

STYLE_PATH: Final = "/docs/style.css"


class Documents:
    """The documents of these operations. They are made when somebody asks first."""

    def __init__(self, operations: Iterable[Operation], outside: Outside) -> None:
        self._operations = list(operations)
        self._outside = outside

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        try:
            running = version("holdfast")
        except PackageNotFoundError:
            running = "0+unknown"
        return document(self._operations, running)

    @cached_property
    def _page(self) -> str:
        return page_of(self.document, self._operations)

    def add_routes(self, app: web.Application) -> None:
        """Serve them."""
        app.router.add_get("/openapi.json", self._openapi)
        app.router.add_get("/docs", self._docs)
        app.router.add_get(STYLE_PATH, self._style)

    async def _openapi(self, request: web.Request) -> web.StreamResponse:
        base = self._outside.base_url(request)
        body = msgspec.json.encode({**self.document, "servers": [{"url": base}]})
        return _kept(request, body, JSON)

    async def _docs(self, request: web.Request) -> web.StreamResponse:
        prefix = self._outside.base_url(request)
        response = _kept(request, self._page.replace("{base}", _text(prefix)).encode(), "text/html")
        response.headers["Content-Security-Policy"] = DOCS_CSP
        return response

    async def _style(self, request: web.Request) -> web.StreamResponse:
        return _kept(request, STYLE.encode(), "text/css")


def _text(value: str) -> str:
    from html import escape

    return escape(value, quote=True)


def _kept(request: web.Request, body: bytes, media: str) -> web.Response:
    """A document that is asked for anew each time, and mostly has not changed."""
    etag = ETag(hashlib.sha256(body).hexdigest()[:20])
    if any(known.value in ("*", etag.value) for known in request.if_none_match or ()):
        response = web.Response(status=304)
    else:
        response = web.Response(body=body, content_type=media, charset=None if media == JSON else "utf-8")
    response.etag = etag
    response.headers[hdrs.CACHE_CONTROL] = "no-cache"
    return response

"""The page door: the built browser app, on the paths that its router knows, and the files it is made of.

Paths of the app all give the same document, which is asked for anew each time (an upgrade is seen at the next reload) and is
nearly always answered with 304. Files whose names hold their hash are kept by browsers for good. What is not in the build is
not there: 404, in plain text, kept by nobody. Who comes to an unknown path with a browser is told the same by the page.

A reader that takes a file slowly costs a place and a buffer, not more: files are written piece by piece, and who takes no
piece in time is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from .answers import abort
from .headers import DIAGRAM, PAGE, SHARED
from .page_files import IDENTITY, INDEX, PageFile

APP_PATHS: Final = ("/", "/c/{id}", "/inbox", "/activity", "/activity/{id}")
"""The routes of web/src/app; each is the page."""

NOT_THE_APP: Final = (
    "assets", "ws", "healthz", "readyz", "version", "v1", "api", "ai-demo", "chat", "invoke_endpoint", "requests",
)  # fmt: skip
"""First pieces of paths that programs ask for: what is unknown there stays plain text, whoever asks."""

DIAGRAM_FILE: Final = "diagram.html"

KEPT: Final = "public, max-age=31536000, immutable"
ASKED_ANEW: Final = "no-cache"
NOT_KEPT: Final = "no-store"

PIECE_BYTES: Final = 64 * 1024
"""What is handed to a connection at once; also about what it buffers."""

PIECE_S: Final = 30.0
"""How long a reader may take for a piece: 2 kB/s, which is slower than any network that a page can be used over."""

LOOK_S: Final = 0.005
LOOK_S_MAX: Final = 0.25
"""How often it is looked whether the end of a file was taken, at first and later."""

SENDING_MAX: Final = 1_000
"""Files on their way at once: with a piece written and one buffered for each, at most 128 MB."""

PLACE_S: Final = 15.0
"""How long a request waits for one of these places before it is told to come back."""


class PageDoor:
    """Serves a page that was read with `read_page`."""

    def __init__(
        self, files: Mapping[str, PageFile], *, piece_s: float = PIECE_S, place_s: float = PLACE_S
    ) -> None:
        self._files = files
        self._places = asyncio.Semaphore(SENDING_MAX)
        self._piece_s = piece_s
        self._place_s = place_s

    def add_routes(self, app: web.Application) -> None:
        """Serve the app's paths, /assets/ and the other files of the build by their names."""
        for path in APP_PATHS:
            app.router.add_get(path, self._app)
        app.router.add_get("/assets/{path:.+}", self._file)
        for name in self._files:
            if name != INDEX and not self._files[name].hashed:
                app.router.add_get(f"/{name}", self._file)
        app.middlewares.append(self._lost)

    async def _app(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, self._files[INDEX], PAGE)

    @web.middleware
    async def _lost(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The page, which says what can be done, for a person at a path that no door knows; the status is 404 still."""
        unknown = isinstance(request.match_info.http_exception, web.HTTPNotFound)
        first = request.path.removeprefix("/").partition("/")[0]  # `OPTIONS *` has no path to be split
        if not unknown or request.method != hdrs.METH_GET or first in NOT_THE_APP:
            return await handler(request)
        if "text/html" not in ",".join(request.headers.getall(hdrs.ACCEPT, ())).lower():
            return await handler(request)
        return await self._answer(request, self._files[INDEX], PAGE, status=404)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix("/")
        file = self._files.get(name)
        if file is None:
            raise web.HTTPNotFound(
                text="There is no such file in this version of the page; reload it.\n",
                headers={hdrs.CACHE_CONTROL: NOT_KEPT},
            )
        return await self._answer(request, file, DIAGRAM if name == DIAGRAM_FILE else SHARED)

    async def _answer(
        self, request: web.Request, file: PageFile, more: Mapping[str, str], *, status: int = 200
    ) -> web.StreamResponse:
        encoding = file.encoding(",".join(request.headers.getall(hdrs.ACCEPT_ENCODING, ())))
        tag = file.etag(encoding)
        headers: dict[str, str] = {
            hdrs.CACHE_CONTROL: KEPT if file.hashed else ASKED_ANEW,
            hdrs.ETAG: f'"{tag}"',
            **more,
        }
        if len(file.bodies) > 1:
            headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
        if status != 200:  # nobody keeps that something is not there, so nobody asks whether it still is not
            headers[hdrs.CACHE_CONTROL] = NOT_KEPT
            del headers[hdrs.ETAG]
        elif any(known.value in ("*", tag) for known in request.if_none_match or ()):
            return web.Response(status=304, headers=headers)
        headers[hdrs.CONTENT_TYPE] = file.media_type
        if encoding != IDENTITY:
            headers[hdrs.CONTENT_ENCODING] = encoding
        body = file.bodies[encoding]
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(body)
        if request.method == hdrs.METH_HEAD:
            await response.prepare(request)
            await response.write_eof()
            return response
        try:
            async with asyncio.timeout(self._place_s):
                await self._places.acquire()
        except TimeoutError:
            raise web.HTTPServiceUnavailable(
                text="Too many people load the page just now; try again in a few seconds.\n",
                headers={hdrs.CACHE_CONTROL: NOT_KEPT, hdrs.RETRY_AFTER: "5"},
            ) from None
        try:
            await self._send(request, response, body)
        finally:
            self._places.release()
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, body: bytes) -> None:
        view = memoryview(body)
        try:
            await response.prepare(request)
            for start in range(0, len(view), PIECE_BYTES):
                async with asyncio.timeout(self._piece_s):
                    await response.write(view[start : start + PIECE_BYTES])
            await response.write_eof()
            await self._emptied(request.transport)
        except TimeoutError:
            abort(request)
        except ConnectionError:
            pass  # the reader went: there is nobody left to answer

    async def _emptied(self, transport: asyncio.Transport | None) -> None:
        """Wait until the kernel has it all: else who asks for a thousand files on one connection and reads none would have
        them all kept here. Raises: TimeoutError."""
        look_s = LOOK_S
        async with asyncio.timeout(2 * self._piece_s):
            while transport is not None and transport.get_write_buffer_size():
                await asyncio.sleep(look_s)
                look_s = min(2 * look_s, LOOK_S_MAX)

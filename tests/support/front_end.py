"""Somebody else's front end in a real browser: a site of its own, and the page with useChat (tests/browser/use_chat) in words.

async with elsewhere(folder) as site:                # an origin that is not the server's
    front = await Opener(page_of, site, server)()    # tests/browser/use_chat, before that server
    await front.ask("Hello")
    await front.done()
    assert (await front.texts())[1] == ["Hi."]
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

from aiohttp import web
from playwright.async_api import Page, WebSocket

from tests.support.browser import Visitors
from tests.support.serving import Server

WAIT_MS = 20_000  # a server's start on a busy machine; what does not come by then does not come
CHAT = "c-1"


class Site(NamedTuple):
    """Where pages are served that are not the server's; to be opened as a server's page is."""

    port: int

    @property
    def origin(self) -> str:
        """As the browser names it."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def elsewhere(folder: Path) -> AsyncIterator[Site]:
    """The files of a folder on a free port, as any web server shows them; `/` is its index.html."""
    files = _files(folder)

    async def file(request: web.Request) -> web.FileResponse:
        path = files.get(request.match_info["path"] or "index.html")
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path)

    app = web.Application()
    app.router.add_get("/{path:.*}", file)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield Site(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


class FrontEnd:
    """The page, as a test speaks with it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def act(self, call: str, chat: str = CHAT, **given: Any) -> Any:
        """Evaluates `call`, with the hook's result as `chat` and what is given by its name."""
        source = f"async ({{ id, given }}) => {{ const chat = window.chats[id]; return {call}; }}"
        return await self.page.evaluate(source, {"id": chat, "given": given})

    async def ask(self, text: str, chat: str = CHAT) -> None:
        """Sends a message, and does not wait."""
        await self.act("void chat.sendMessage({ text: given.text })", chat, text=text)

    async def until(self, holds: str, chat: str = CHAT, **given: Any) -> None:
        """Waits until an expression of `chat` is true. Raises: TimeoutError."""
        source = f"({{ id, given }}) => {{ const chat = window.chats?.[id]; return chat && ({holds}); }}"
        await self.page.wait_for_function(source, arg={"id": chat, "given": given}, timeout=WAIT_MS)

    async def done(self, chat: str = CHAT) -> None:
        """Waits until the last message is an answer that has ended."""
        ended = "chat.messages.at(-1)?.metadata?.status ?? 'none'"
        await self.until(
            f"['ready', 'error'].includes(chat.status) && !['none', 'queued', 'running', 'waiting', 'unsent', 'new']"
            f".includes({ended})",
            chat,
        )

    async def some(self, chars: int = 1, chat: str = CHAT) -> None:
        """Waits until the last message is an answer with some text."""
        await self.until(
            "chat.messages.at(-1)?.role === 'assistant' && "
            "chat.messages.at(-1).parts.map((part) => part.text ?? '').join('').length >= given.chars",
            chat,
            chars=chars,
        )

    async def texts(self, chat: str = CHAT, kind: str = "text") -> list[list[str]]:
        """The texts of each message's parts of that kind."""
        found: list[list[str]] = await self.act(
            "chat.messages.map((m) => m.parts.filter((p) => p.type === given.kind).map((p) => p.text))",
            chat,
            kind=kind,
        )
        return found

    async def part(self, kind: str, chat: str = CHAT) -> dict[str, Any]:
        """The first part of that kind in the last message."""
        found: dict[str, Any] = await self.act(
            "chat.messages.at(-1).parts.find((part) => part.type === given.kind)", chat, kind=kind
        )
        return found


class Wire:
    """What came over each WebSocket of a page about answers, in order."""

    def __init__(self, page: Page) -> None:
        self.connections: list[list[dict[str, Any]]] = []
        page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        frames: list[dict[str, Any]] = []
        self.connections.append(frames)
        socket.on("framereceived", lambda payload: frames.append(json.loads(payload)))

    def spans(self, number: int) -> list[tuple[int, int]]:
        """The offsets of each page on that connection: from, and up to."""
        pages = [frame for frame in self.connections[number] if frame["type"] == "page"]
        return [(frame["start"], int(frame["next"].partition("-")[0])) for frame in pages]

    def snapshots(self, number: int) -> int:
        """How often that connection told an answer anew."""
        return sum(frame["type"] == "snapshot" for frame in self.connections[number])


class Opener:
    """Opens the front end before a server."""

    def __init__(self, page_of: Visitors, site: Site, server: Server) -> None:
        self.page_of = page_of
        self.site = site
        self.server = server

    async def __call__(self, query: str = f"chat={CHAT}", port: int | None = None) -> FrontEnd:
        self.page_of.watch.own(self.server)
        self.page_of.watch.own(cast("Server", Site(port or self.server.port)))
        page = await self.page_of(
            cast("Server", self.site), f"/?server=127.0.0.1:{port or self.server.port}&{query}"
        )
        shown = FrontEnd(page)
        for chat in query.split("&"):
            if chat.startswith("chat="):
                await shown.until("true", chat.removeprefix("chat="))
        return shown

"""Real browsers before a real server: visitors with storage of their own, whose pages are watched.

    async def test_x(page_of, server):
        page = await page_of(server, "/c/abc")                      # the first visitor's
        tab = await page_of(server, "/c/abc")                       # another tab of the same
        other = await page_of(server, visitor=await page_of.new())  # another browser, as far as storage goes

What a page must never do is recorded and fails the test at its end: errors on the console, exceptions nobody caught, policies
violated, requests to any other host. A test that provokes one says so: `page_of.watch.expect("TrustedHTML")`. That a server
could not be reached is no such thing.
Nothing outside this machine can be reached: no name is resolved.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, async_playwright

from tests.support.programs import find
from tests.support.serving import Server

ACTION_MS = 10_000  # an expectation that takes longer is one that does not come true
LOADING_MS = 20_000  # a cold browser on a busy machine
LINES_MAX = 100  # of what a page did wrong: the first ones tell

# What the browser itself notes when a server is away. Servers go away here all the time; what matters is what the page shows.
CUT = re.compile(
    r"WebSocket connection to 'ws://127\.0\.0\.1.* failed|"
    r"net::ERR_(CONNECTION_(REFUSED|RESET|CLOSED|ABORTED)|EMPTY_RESPONSE|CONTENT_LENGTH_MISMATCH|INTERNET_DISCONNECTED|NETWORK_CHANGED)"
)

FLAGS = (
    "--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-sync", "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)  # fmt: skip


class Chromium:
    """One browser process. An async context manager; `await visitor()` as often as one likes."""

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self.browser: Browser | None = None

    async def __aenter__(self) -> Self:
        self._playwright = await async_playwright().start()
        self.browser = await self._playwright.chromium.launch(
            executable_path=find("chromium"),
            args=list(FLAGS),
            chromium_sandbox=os.geteuid() != 0,  # its sandbox does not start for root
            timeout=LOADING_MS,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.browser is not None
        assert self._playwright is not None
        await self.browser.close()
        await self._playwright.stop()


class Watch:
    """What the pages did that they must not do, but for what the test expects."""

    def __init__(self) -> None:
        self.wrongs: list[str] = []
        self.hosts: set[str] = set()  # of every request, as host:port
        self._own: set[str] = set()
        self._expected: list[re.Pattern[str]] = []

    def own(self, server: Server) -> None:
        """Requests to this server are in order."""
        self._own.add(f"127.0.0.1:{server.port}")

    def expect(self, pattern: str) -> None:
        """Wrongs that match are the test's own doing, those recorded already too."""
        self._expected.append(re.compile(pattern))

    def unexpected(self) -> list[str]:
        """What was recorded and not expected."""
        return [line for line in self.wrongs if not any(each.search(line) for each in self._expected)]

    def follow(self, context: BrowserContext) -> None:
        """Watch every page of the context, those that it opens later too."""
        context.on("console", self._said)
        context.on("weberror", lambda error: self._wrong(f"uncaught: {error.error}"))
        context.on("request", lambda request: self._asked(request.url))
        context.on("page", lambda page: page.on("websocket", lambda ws: self._asked(ws.url)))

    def _said(self, message: ConsoleMessage) -> None:
        # A violated policy is an error; one that the browser cannot read is a warning, and as good as none.
        if CUT.search(message.text):
            return
        if message.type == "error" or (message.type == "warning" and "Policy" in message.text):
            self._wrong(f"console: {message.text} ({message.location.get('url', '')})")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("data", "blob", "about"):
            return
        self.hosts.add(parts.netloc)
        if parts.netloc not in self._own:
            self._wrong(f"request to another host: {url}")

    def _wrong(self, line: str) -> None:
        if len(self.wrongs) < LINES_MAX:
            self.wrongs.append(line)


class Visitors:
    """The people of one test, each with a browser context: cookies and storage of their own. Called, it opens a page."""

    def __init__(self, browser: Browser) -> None:
        self.watch = Watch()
        self._browser = browser
        self._contexts: list[BrowserContext] = []

    async def new(self, **options: Any) -> BrowserContext:
        """Another visitor; options are Playwright's (`color_scheme="dark"`, `viewport=…`, `reduced_motion="reduce"`)."""
        context = await self._browser.new_context(**{"reduced_motion": "reduce", "locale": "en", **options})
        context.set_default_timeout(ACTION_MS)
        context.set_default_navigation_timeout(LOADING_MS)
        self.watch.follow(context)
        self._contexts.append(context)
        return context

    async def __call__(
        self, server: Server, path: str = "/", *, visitor: BrowserContext | None = None
    ) -> Page:
        """A page of that server, loaded, by the first visitor or the one that is named."""
        self.watch.own(server)
        if visitor is None:
            visitor = self._contexts[0] if self._contexts else await self.new()
        page = await visitor.new_page()
        await page.goto(f"http://127.0.0.1:{server.port}{path}", wait_until="load")
        return page

    async def pictures(self, folder: Path) -> list[Path]:
        """Screenshots of every page that is open."""
        out: list[Path] = []
        for context in self._contexts:
            for page in context.pages:
                path = folder / f"page-{len(out) + 1}.png"
                await page.screenshot(path=path, timeout=ACTION_MS)
                out.append(path)
        return out

    async def close(self) -> None:
        """Everybody goes."""
        for context in self._contexts:
            await context.close()

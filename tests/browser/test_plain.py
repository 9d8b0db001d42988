"""The page without any build step: web/examples/plain.html with nothing but the browser's WebSocket, from elsewhere and from a file."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.support.browser import Visitors
from tests.support.front_end import Site, elsewhere
from tests.support.serving import ROOT, Server, openai_toml
from tests.support.upstream import Script, Upstream, expected_text

PLAIN = ROOT / "web" / "examples" / "plain.html"
LINES_MAX = 100
WAIT_MS = 20_000  # a server's start and the longest wait before a try, on a busy machine
SCRIPT = Script(deltas=50, delta_chars=9, hold=15, seed=21, reseed=True)


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[Site]:
    """The folder of the examples, on an origin that is not the server's."""
    async with elsewhere(PLAIN.parent) as place:
        yield place


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path, upstream: Upstream, site: Site) -> AsyncIterator[Server]:
    """A server that lets in pages from the other origin and from files."""
    extra = f'[server]\nallowed_origins = ["{site.origin}", "null"]'
    async with Server(tmp_path / "server", toml=openai_toml(upstream.base_url, extra=extra)) as process:
        yield process


class Opener:
    """Opens the example in one of the ways in which people do."""

    def __init__(self, page_of: Visitors, site: Site, server: Server, way: str) -> None:
        self.page_of = page_of
        self.site = site
        self.server = server
        self.way = way

    async def __call__(self) -> Page:
        query = f"?server=127.0.0.1:{self.server.port}"
        watch = self.page_of.watch
        watch.own(self.server)
        watch.expect(r"/favicon\.ico|404 \(Not Found\)")
        page = await self.page_of(cast("Server", self.site), f"/plain.html{query}")
        if self.way == "file":
            watch.expect(r"request to another host: file://")
            await page.goto(f"{PLAIN.as_uri()}{query}")
        return page


@pytest.fixture(params=["elsewhere", "file"])
def open_(request: pytest.FixtureRequest, page_of: Visitors, site: Site, server: Server) -> Opener:
    """Opens the example: served from another origin, or from the disk."""
    return Opener(page_of, site, server, request.param)


async def shown(page: Page) -> str:
    """The answer as the page has it."""
    text = await page.locator("output").evaluate("(output) => output.textContent")
    assert isinstance(text, str)
    return text


async def ask(page: Page, question: str) -> None:
    """Types a question and sends it."""
    await page.get_by_label("Question").fill(question)
    await page.get_by_role("button", name="Ask").click()


async def has(page: Page, text: str) -> None:
    """Waits until the answer begins with that, to the byte."""
    await page.wait_for_function(
        "(text) => document.querySelector('output').textContent.startsWith(text)", arg=text, timeout=WAIT_MS
    )


async def status(page: Page, text: str) -> None:
    """Waits until the status line has that."""
    await expect(page.get_by_role("status")).to_contain_text(text, timeout=WAIT_MS)


async def test_it_is_short_and_needs_nothing() -> None:
    """One file of less than a hundred lines, that loads nothing."""
    text = PLAIN.read_text("utf-8")
    assert len(text.splitlines()) < LINES_MAX
    assert not re.search(r"\bsrc=|\bimport\b|<link|fetch\(|https?://(?!\$)", text)


async def test_an_answer_survives_reload_and_crash(open_: Opener, upstream: Upstream) -> None:
    """Reloaded in mid-answer, then its server killed and started again: at the end the text of the attempt that stands."""
    upstream.script(SCRIPT)
    page = await open_()
    await ask(page, "What holds?")
    beginning = expected_text(SCRIPT, 1)[: 15 * 9]
    await has(page, beginning)
    await page.reload()
    await has(page, beginning)
    await open_.server.kill()
    await status(page, "Connection lost")
    assert await shown(page) == beginning
    upstream.release()
    await open_.server.start()
    await status(page, "completed")
    assert await shown(page) == expected_text(SCRIPT, 2)
    await page.reload()
    await status(page, "completed")
    assert await shown(page) == expected_text(SCRIPT, 2)


async def test_a_connection_lost_goes_on_from_its_cursor(open_: Opener, upstream: Upstream) -> None:
    """The server stopped for a moment and come back, what was shown stays and the rest is added."""
    script = Script(deltas=50, delta_chars=9, hold=15, seed=22)
    upstream.script(script)
    page = await open_()
    await ask(page, "What holds?")
    await has(page, expected_text(script)[: 15 * 9])
    starts = await page.evaluate_handle(
        """() => {
          const starts = [];
          const receive = window.receive;
          window.receive = (push) => {
            if (push.type === "page") starts.push(push.start);
            if (push.type === "snapshot") starts.push("snapshot");
            receive(push);
          };
          return starts;
        }"""
    )
    await page.evaluate("() => socket.close()")
    upstream.release()
    await status(page, "completed")
    assert await shown(page) == expected_text(script)
    seen = await starts.json_value()
    assert "snapshot" not in seen
    assert seen[0] > 0


async def test_a_new_attempt_takes_the_place_of_the_old(open_: Opener, upstream: Upstream) -> None:
    """The model failing in mid-answer and asked again, only what the second attempt says is shown."""
    script = Script(deltas=30, delta_chars=9, hold=20, cut=10, seed=24, reseed=True)
    upstream.script(script)
    page = await open_()
    await ask(page, "What holds?")
    await has(page, expected_text(script, 2)[: 20 * 9])
    upstream.release()
    await status(page, "completed")
    assert await shown(page) == expected_text(script, 2)


async def test_stop(open_: Opener, upstream: Upstream) -> None:
    """Stop ends the request at the model; what was said until then stays."""
    upstream.script(SCRIPT)
    page = await open_()
    await ask(page, "What holds?")
    beginning = expected_text(SCRIPT, 1)[: 15 * 9]
    await has(page, beginning)
    await page.get_by_role("button", name="Stop").click()
    await status(page, "cancelled")
    await upstream.log.level.until(lambda: upstream.log.calls[0].outcome == "disconnected")
    assert await shown(page) == beginning


async def test_a_question_asked_offline_is_asked_once(open_: Opener, upstream: Upstream) -> None:
    """Asked while the server is away, and reloaded then where that is possible: asked once when it is back."""
    script = Script(deltas=5, seed=23)
    upstream.script(script)
    page = await open_()
    await status(page, "Connected")
    await open_.server.kill()
    await status(page, "Connection lost")
    await ask(page, "Are you there?")
    await page.reload()
    await open_.server.start()
    await status(page, "completed")
    await page.reload()
    await status(page, "completed")
    assert await shown(page) == expected_text(script)
    assert len(upstream.log.calls) == 1

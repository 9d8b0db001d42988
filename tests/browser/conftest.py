"""Fixtures of the browser tests: one Chromium for all of them, and for each its server, its model and its visitors.

All run in one loop, the browser's; nothing but Chromium and the built page is needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.browser import Chromium, Visitors
from tests.support.page_words import People
from tests.support.programs import PAGE
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Upstream

HERE = Path(__file__).resolve().parent
REPORT = pytest.StashKey[pytest.TestReport]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder needs the browser and the page, and runs in the browser's loop."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.needs("chromium", PAGE))
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Fixtures can see how their test ended."""
    report = yield
    if report.when == "call":
        item.stash[REPORT] = report
    return report


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    """The browser process."""
    async with Chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def page_of(
    chromium: Chromium, request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Visitors]:
    """The visitors of a test, who open pages. It fails if a page did what none may do (see tests/support/browser.py);
    pictures of the pages stay in its folder where it fails."""
    assert chromium.browser is not None
    visitors = Visitors(chromium.browser)
    try:
        yield visitors
        report = request.node.stash.get(REPORT, None)
        unexpected = visitors.watch.unexpected()
        if unexpected or (report is not None and report.failed):
            for path in await visitors.pictures(tmp_path):
                print(f"what it looked like: {path}")  # noqa: T201 - pytest shows it beside the failure
        assert unexpected == []
    finally:
        await visitors.close()


@pytest_asyncio.fixture(loop_scope="session")
async def upstream() -> AsyncIterator[Upstream]:
    """The scripted model."""
    async with Upstream() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Server]:
    """A real server process over a folder of its own, whose one agent asks the scripted model."""
    async with Server(tmp_path / "server", toml=openai_toml(upstream.base_url)) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="session")
async def people(page_of: Visitors) -> AsyncIterator[People]:
    """Those who take part. At the end every digest that any of their pages compared must have matched."""
    everybody = People(page_of)
    yield everybody
    everybody.assert_verified()

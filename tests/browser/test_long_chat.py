"""A chat of two thousand messages is as good to read as one of ten."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.support.browser import Visitors
from tests.support.cast import cast_toml
from tests.support.page_seed import long_chat
from tests.support.page_sights import person
from tests.support.serving import Server

TURNS = 1_000
ELEMENTS_MAX = 6_000  # of which a chat of ten messages has a thousand
WHEEL_PX = 1_500  # a strong turn of the wheel, more than a screen

# At every painted frame: how much of the view's height is covered by rows with something in them.
WATCH = """
  window.blank = []; window.mostElements = 0;
  const look = () => {
    const log = document.querySelector("[role=log]");
    if (log && log.scrollHeight > log.clientHeight) {
      const view = log.getBoundingClientRect();
      const rows = [...log.querySelectorAll("[data-row]")].filter((row) => {
        const box = row.getBoundingClientRect();
        return box.bottom > view.top && box.top < view.bottom && row.querySelector("[role=article]");
      });
      window.mostElements = Math.max(window.mostElements, document.querySelectorAll("*").length);
      if (rows.length === 0) window.blank.push([log.scrollTop, log.scrollHeight]);
    }
    setTimeout(() => requestAnimationFrame(look));
  };
  requestAnimationFrame(look);
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's data folder with one long chat, to be copied."""
    folder = tmp_path_factory.mktemp("kept")
    await long_chat(folder, "long", TURNS)
    return folder


@pytest_asyncio.fixture(loop_scope="session")
async def old(tmp_path: Path, kept: Path) -> AsyncIterator[Server]:
    """A server with one long chat."""
    shutil.copytree(kept, tmp_path / "server" / "data")
    async with Server(tmp_path / "server", toml=cast_toml()) as process:
        yield process


async def test_two_thousand_messages_are_read_through(page_of: Visitors, old: Server) -> None:
    """It opens at its end; the wheel goes up to the first message and no frame is blank; the page stays small all the way."""
    page = await page_of(old, "/c/long")
    me = person(page)
    await expect(me.answers.last).to_contain_text(f"Answer {TURNS - 1}.")
    await page.evaluate(f"() => {{ {WATCH} }}")
    await me.log.hover()
    first = me.questions.filter(has_text="kestrel0000")
    for _ in range(600):
        await page.mouse.wheel(0, -WHEEL_PX)
        top = await me.log.evaluate(
            "(log) => new Promise((done) => requestAnimationFrame(() => done(log.scrollTop)))"
        )
        if top <= 0 and await first.count():
            break
    await expect(first).to_be_in_viewport()
    assert await page.evaluate("() => window.blank") == []
    assert await page.evaluate("() => window.mostElements") < ELEMENTS_MAX
    await page.keyboard.press("Alt+End")
    await expect(me.answers.last).to_contain_text(f"Answer {TURNS - 1}.")
    await expect(me.answers.last).to_be_in_viewport()


async def test_a_message_is_found_in_a_long_chat(page_of: Visitors, old: Server) -> None:
    """A word of a message far above the end is found, and its chat opens where it stands."""
    page = await page_of(old)
    await page.get_by_role("textbox", name="Search chats").fill("kestrel0900")
    hit = page.get_by_role("region", name="Search results").get_by_role("link")
    await expect(hit).to_have_count(1)
    await hit.click()
    await expect(person(page).questions.filter(has_text="kestrel0900")).to_be_in_viewport()


async def test_a_long_chat_goes_on(page_of: Visitors, old: Server) -> None:
    """Asking at its end is answered there."""
    page = await page_of(old, "/c/long")
    me = person(page)
    await expect(me.answers.last).to_contain_text(f"Answer {TURNS - 1}.")
    await me.field.fill("And now?")
    await me.field.press("Enter")
    await expect(me.answers.last).to_contain_text("You said: And now?")
    await expect(me.answers.last).to_be_in_viewport()

"""Nobody is shut out: axe finds nothing wrong on any screen, in any state, light and dark, wide and narrow."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, Literal

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, expect

from holdfast_client import connect
from tests.support.browser import Visitors
from tests.support.cast import cast_toml, play
from tests.support.page_sights import axe, person, stands
from tests.support.serving import Server

WHOLE = (
    "# Tides\n\nThe *moon* pulls, `so` [it goes](https://example.org/tides).\n\n"
    "| when | how high |\n|---|---:|\n| morning | 3.1 m |\n| evening | 2.8 m |\n\n"
    "```python\ndef tide(hour: int) -> float:\n    return 3.1  # metres, about\n```\n\n"
    "Inline $a^2 + b^2$ and\n\n$$\nE = mc^2\n$$\n\n- [x] done\n- [ ] open\n\n> Said before.\n\n"
    "1. one\n2. two\n\nA note[^1].\n\n[^1]: Below.\n\n![a picture](https://example.org/p.png)\n\n"
    "```mermaid\ngraph TD\n  Moon --> Tide\n```\n"
)
EVERYTHING = play(
    "All of it", ("reasoning", "I think of the *moon*."), ("tool", "look_up", '{"what": "tides"}', '{"metres": 3.1}'),
    ("tool", "broken", "{}", "not json"), ("step", "Read the tables", 100), ("step", "Count", 40), ("text", WHOLE),
    ("cite", "https://example.org/a", "Tide tables"), ("attach", "https://example.org/t.csv", "text/csv", "tides.csv"),
    ("value", "heights", {"morning": 3.1}),
)  # fmt: skip
AT_WORK = play(
    "At work", ("text", "I look.\n\n"), ("tool", "look_up", "{}"), ("step", "Half of it", 50), ("rest", 60)
)
ASKS = play(
    "Ask me",
    ("text", "One moment."),
    ("wait", {"title": "May I?", "tool": "delete", "arguments": {"all": True}}),
)
FAILS = play("Fails", ("text", "I try."), ("fail", "broken", "The tables are gone."))

SCHEMES: Final[tuple[tuple[Literal["light", "dark"], str], ...]] = (("light", ""), ("dark", "color-contrast"))
LOOKS = pytest.mark.parametrize(
    "look",
    [{}, {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}],
    ids=["wide", "phone"],
)


@pytest_asyncio.fixture(loop_scope="session")
async def cast(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with agents that say what they are told."""
    async with Server(tmp_path / "server", toml=cast_toml()) as process:
        yield process


async def seeded(server: Server) -> None:
    """Chats of every kind: whole, at work, waiting, failed; one archived."""
    async with connect(server.url) as client:
        for chat_id, prompt in (("whole", EVERYTHING), ("asks", ASKS), ("fails", FAILS), ("work", AT_WORK)):
            await client.submit(prompt, chat_id=chat_id, agent="player", follow=False)
        for number in range(3):
            await client.submit(
                f"Old question {number}", chat_id=f"old-{number}", agent="player", follow=False
            )
        while any(row.status in ("new", "queued") for row in client.feed.requests.values()):  # noqa: ASYNC110 - rows come by themselves
            await asyncio.sleep(0.05)


async def nothing_wrong(page: Page, where: str) -> None:
    """Axe finds nothing; in the dark, where only colours are others, of those."""
    for scheme, only in SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        found = await axe(page, only=only)
        assert not found, f"{where}, {scheme}: " + "\n".join(found)
    await page.emulate_media(color_scheme="light")


async def visit(page: Page, server: Server, path: str) -> None:
    """Another screen of the same page."""
    await page.goto(f"http://127.0.0.1:{server.port}{path}")
    await expect(page.get_by_role("main")).not_to_be_empty()


@LOOKS
async def test_axe_finds_nothing_in_chats(page_of: Visitors, cast: Server, look: dict[str, object]) -> None:
    """A chat that is new, whole with everything an answer can hold, at work, waiting, failed, edited, with versions, or not there."""
    await seeded(cast)
    context = await page_of.new(**look)
    page = await page_of(cast, "/", visitor=context)
    me = person(page)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await nothing_wrong(page, "new chat")

    await visit(page, cast, "/c/whole")
    await stands(me, "completed")
    folded = me.answer.locator("button[aria-expanded=false][aria-controls]")
    while await folded.count():
        await folded.first.click()
    await expect(me.answer.locator("math").first).to_be_attached()
    await expect(me.answer.locator("pre span[style], pre span[class]").first).to_be_attached()
    await nothing_wrong(page, "whole")
    await me.answer.get_by_role("button", name="More", exact=True).click()
    await expect(page.get_by_role("menu")).to_be_visible()
    await nothing_wrong(page, "menu of an answer")
    await page.keyboard.press("Escape")

    await visit(page, cast, "/c/work")
    await expect(me.answer.get_by_text("Half of it")).to_be_visible()
    await nothing_wrong(page, "at work")
    await visit(page, cast, "/c/asks")
    await stands(me, "waiting")
    await nothing_wrong(page, "waiting")
    await visit(page, cast, "/c/fails")
    await stands(me, "failed")
    await nothing_wrong(page, "failed")

    await visit(page, cast, "/c/old-0")
    await stands(me, "completed")
    await me.questions.first.get_by_role("button", name="Edit").click()
    await expect(page.get_by_role("textbox", name="Your message")).to_be_focused()
    await nothing_wrong(page, "editing")
    await page.get_by_role("textbox", name="Your message").fill("Otherwise")
    await page.keyboard.press("Enter")
    await expect(me.questions.first.get_by_role("group", name="Versions")).to_be_visible()
    await stands(me, "completed")
    await nothing_wrong(page, "versions")
    await me.answer.get_by_role("button", name="More", exact=True).click()
    await page.get_by_role("menuitem", name="Delete").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    await nothing_wrong(page, "asked before deleting")
    await visit(page, cast, "/c/not-there")
    await expect(page.get_by_text("This chat is not here")).to_be_visible()
    await nothing_wrong(page, "no such chat")


@LOOKS
async def test_axe_finds_nothing_on_other_screens(
    page_of: Visitors, cast: Server, look: dict[str, object]
) -> None:
    """The inbox, activity, a story in its three views, an address that leads nowhere, each full and empty."""
    context = await page_of.new(**look)
    page = await page_of(cast, "/inbox", visitor=context)
    await expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    await nothing_wrong(page, "inbox, empty")
    await visit(page, cast, "/activity")
    await expect(page.get_by_text("Nothing has been asked yet")).to_be_visible()
    await nothing_wrong(page, "activity, empty")

    await seeded(cast)
    await visit(page, cast, "/inbox")
    await expect(page.get_by_role("region", name="Needs you")).to_be_visible()
    await nothing_wrong(page, "inbox")
    await visit(page, cast, "/activity")
    await expect(page.get_by_role("link", name="The story of All of it")).to_be_visible()
    await nothing_wrong(page, "activity")
    await visit(page, cast, "/activity?text=nothingofthekind")
    await expect(page.get_by_text("Nothing fits this filter")).to_be_visible()
    await nothing_wrong(page, "activity, filtered")
    await visit(page, cast, "/activity")
    await page.get_by_role("link", name="The story of All of it").click()
    await expect(page.get_by_role("region", name="Timeline")).to_be_visible()
    await nothing_wrong(page, "story")
    for view in ("Replay", "Events"):
        await page.get_by_role("radiogroup", name="How to see it").get_by_text(view).click()
        await expect(page.get_by_role("radio", name=view)).to_be_checked()
        await nothing_wrong(page, view)
    await visit(page, cast, "/activity/nothing")
    await expect(page.get_by_text("This story cannot be shown")).to_be_visible()
    await nothing_wrong(page, "no such story")
    await page.evaluate("() => history.pushState(null, '', '/nowhere/at/all')")
    await expect(page.get_by_text("There is nothing at this address")).to_be_visible()
    await nothing_wrong(page, "nowhere")


@LOOKS
async def test_axe_finds_nothing_in_what_opens(
    page_of: Visitors, cast: Server, look: dict[str, object]
) -> None:
    """The sidebar (as a drawer on a phone) with its chats and searches, the palette, settings, help, and no connection."""
    await seeded(cast)
    context = await page_of.new(**look)
    page = await page_of(cast, "/c/fails", visitor=context)
    await stands(person(page), "failed")
    if "viewport" in look:
        await page.get_by_role("button", name="Open the sidebar").click()
    await expect(page.get_by_role("navigation", name="Chats").get_by_role("link")).to_have_count(7)
    await nothing_wrong(page, "chats")
    search = page.get_by_role("textbox", name="Search chats")
    await search.fill("tides")
    await expect(page.get_by_text(re.compile(r"^\d+ results?$"))).to_be_visible()
    await nothing_wrong(page, "found")
    await search.fill("nothingofthekind")
    await expect(page.get_by_text("No results")).to_be_visible()
    await nothing_wrong(page, "found nothing")
    await search.fill("")
    await page.get_by_role("button", name="Actions for Fails").click()
    await expect(page.get_by_role("menu")).to_be_visible()
    await nothing_wrong(page, "menu of a chat")
    await page.get_by_role("menuitem", name="Rename").click()
    await nothing_wrong(page, "renaming")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Settings").click()
    await expect(page.get_by_role("dialog", name="Settings")).to_be_visible()
    await nothing_wrong(page, "settings")
    await page.keyboard.press("Escape")
    for keys, name in (("Control+k", "Command palette"), ("?", "Keyboard shortcuts")):
        await page.get_by_role("main").focus()
        await page.keyboard.press(keys)
        await expect(page.get_by_role("dialog", name=name)).to_be_visible()
        await nothing_wrong(page, name)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
    await offline(context, page, cast)


async def offline(context: BrowserContext, page: Page, server: Server) -> None:
    """Without a server: a message that was not sent, and the line that says so."""
    await server.kill()
    await expect(page.get_by_text("No connection to the server.")).to_be_visible()
    await person(page).send("Are you there?")
    await expect(page.get_by_text("Not sent yet. It goes out by itself")).to_be_visible()
    await nothing_wrong(page, "offline")


@LOOKS
async def test_axe_finds_nothing_at_the_gate(
    page_of: Visitors, tmp_path: Path, look: dict[str, object]
) -> None:
    """Where a token is asked for, and where a wrong one was given; on the first visit of a server without a model."""
    tokens = '[identity]\nkind = "tokens"\n[[identity.tokens]]\ntoken = "a-long-enough-token"\nuser = "ann"\n'
    context = await page_of.new(**look)
    async with Server(tmp_path / "gate", toml=tokens) as server:
        page = await page_of(server, "/", visitor=context)
        token = page.get_by_label("Token", exact=True)
        await expect(token).to_be_visible()
        await nothing_wrong(page, "gate")
        await token.fill("wrong")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_text("The server does not take this token")).to_be_visible()
        await nothing_wrong(page, "wrong token")
        await token.fill("a-long-enough-token")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_text("You are talking to the demo agent.")).to_be_visible()
        await nothing_wrong(page, "first run")

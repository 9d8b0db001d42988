"""The page without a pointer, by ear, and without motion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Page, expect

from tests.support.browser import Visitors
from tests.support.cast import cast_toml, play
from tests.support.page_sights import person, said, stands
from tests.support.serving import Server
from tests.support.upstream import Script, Upstream, scripted

FOCUSED = "() => { const one = document.activeElement; return one.getAttribute('aria-label') || one.textContent.trim() || one.id; }"
SAID_MAX = 6  # changes of the live region while one answer comes: that it began and ended, and where one is


@pytest_asyncio.fixture(loop_scope="session")
async def cast(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Server]:
    """A server with agents that say what they are told, and the scripted model."""
    async with Server(tmp_path / "server", toml=cast_toml(base_url=upstream.base_url)) as process:
        yield process


async def focused(page: Page) -> str:
    """What has the focus, by its name."""
    name: str = await page.evaluate(FOCUSED)
    return name


async def test_the_focus_goes_in_order(page_of: Visitors, cast: Server) -> None:
    """From the top of the page: the skip link, which leads to the content, then the sidebar, then the chat, and nothing is left out."""
    page = await page_of(cast, "/inbox")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await page.keyboard.press("Tab")
    assert await focused(page) == "Skip to the content"
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    await page.keyboard.press("Alt+n")
    await expect(person(page).field).to_be_focused()
    await page.get_by_role("link", name="Skip to the content").focus()
    seen: list[str] = []
    while len(seen) < 40:
        await page.keyboard.press("Tab")
        if (name := await focused(page)) in seen or name == "":
            break
        seen.append(name)
    order = [
        "Holdfast",
        "Hide the sidebar",
        "Search chats",
        "Inbox",
        "Activity",
        "Settings",
        "More",
        "Messages",
        "Message",
    ]
    assert [name for name in seen if name in order] == order


async def arrived(page: Page) -> None:
    """The focus is in the main area: another screen takes it there, two frames after its address is."""
    await page.wait_for_function("() => document.querySelector('main').contains(document.activeElement)")


async def test_everything_by_keyboard(page_of: Visitors, cast: Server) -> None:
    """Ask, stop, walk chats, rename, delete and take that back, open the palette and a new chat: no pointer is needed."""
    page = await page_of(cast)
    me = person(page)
    await expect(me.field).to_be_focused()
    await page.keyboard.type("First things")
    await page.keyboard.press("Enter")
    await me.ended("completed")
    await page.keyboard.press("Alt+n")
    await expect(me.questions).to_have_count(0)
    await expect(me.field).to_be_focused()
    await me.send(play("Second things", ("text", "I begin."), ("rest", 60)))
    await stands(me, "running")
    # A chat that waits for its answers is stopped with Escape; else by the button, which Tab reaches.
    await expect(page.get_by_role("button", name="Stop", exact=True)).to_be_visible()
    for _ in range(6):
        await page.keyboard.press("Tab")
        if await focused(page) == "Stop":
            break
    await page.keyboard.press("Enter")
    await me.ended("cancelled")

    await me.chat("Second things").focus()
    await page.keyboard.press("ArrowDown")
    await expect(me.chat("First things")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("First things")
    await arrived(page)
    await me.chat("First things").focus()
    await page.keyboard.press("F2")
    await expect(page.get_by_role("textbox", name="New title of First things")).to_be_focused()
    await page.keyboard.type("Third things")
    await page.keyboard.press("Enter")
    await expect(me.chat("Third things")).to_be_focused()
    await page.keyboard.press("Delete")
    await expect(me.chat("Third things")).to_have_count(0)
    await arrived(page)
    await page.keyboard.press("F8")
    await expect(said(page).get_by_role("button", name="Undo")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(me.chat("Third things")).to_be_visible()

    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("combobox")).to_be_focused()
    await page.keyboard.type("third")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Third things")
    await page.keyboard.press("Alt+ArrowUp")
    await expect(me.answer).to_be_focused()
    await page.keyboard.press("Alt+ArrowUp")
    await expect(me.questions.last).to_be_focused()
    await page.get_by_role("main").focus()
    await page.keyboard.press("g")
    await page.keyboard.press("a")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Activity")
    await expect(page.get_by_role("link", name="The story of").first).to_be_visible()
    await page.get_by_role("grid").get_by_role("row").nth(1).focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("region", name="Timeline")).to_be_visible()


async def test_what_opens_gives_the_focus_back(page_of: Visitors, cast: Server) -> None:
    """Dialogs and menus keep the focus while they are open, close with Escape, and it is where it was."""
    page = await page_of(cast)
    me = person(page)
    await me.send("Something to look at")
    await me.ended("completed")
    buttons = (
        (page.get_by_role("button", name="Settings"), "dialog"),
        (page.get_by_role("complementary").get_by_role("button", name="More"), "menu"),
        (me.answer.get_by_role("button", name="More"), "menu"),
        (page.get_by_role("button", name="Actions for Something to look at"), "menu"),
    )
    for button, opens in buttons:
        await button.focus()
        await page.keyboard.press("Enter")
        opened = page.get_by_role(opens)  # type: ignore[arg-type]  # a role's name
        await expect(opened).to_be_visible()
        for _ in range(3):
            await page.keyboard.press("ArrowDown" if opens == "menu" else "Tab")
            assert await opened.evaluate("(one) => one.contains(document.activeElement)")
        await page.keyboard.press("Escape")
        await expect(opened).to_have_count(0)
        await expect(button).to_be_focused()
    for keys in ("Control+k", "?"):
        await me.answer.focus()
        await page.keyboard.press(keys)
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(me.answer).to_be_focused()


async def test_an_answer_is_told_and_not_read_out(page_of: Visitors, server: Server) -> None:
    """By ear an answer of 500 deltas is: it has started, it is complete. The log it stands in is silent while it grows."""
    page = await page_of(server)
    me = person(page)
    await expect(me.log).to_have_attribute("aria-live", "off")
    await page.evaluate(
        """() => {
          window.heard = [];
          for (const region of document.querySelectorAll("[aria-live=polite], [aria-live=assertive], [role=status], [role=alert]"))
            new MutationObserver(() => window.heard.push(region.textContent))
              .observe(region, { subtree: true, childList: true, characterData: true });
        }"""
    )
    await me.send(scripted("Tell me", Script(deltas=500, gap_ms=3)))
    await me.ended("completed")
    await page.wait_for_function("() => window.heard.some((one) => one.includes('is complete'))")
    heard = await page.evaluate("() => window.heard.filter((one) => one.trim())")
    assert sum("has started" in one for one in heard) == 1
    assert sum("is complete" in one for one in heard) == 1
    assert len(heard) <= SAID_MAX


async def test_without_motion_nothing_moves(page_of: Visitors, cast: Server) -> None:
    """Whoever asks the system for less motion sees none: not while an answer comes, not when a dialog opens."""
    page = await page_of(cast, visitor=await page_of.new(reduced_motion="reduce"))
    me = person(page)
    await me.send(
        play("At work", ("text", "I look."), ("tool", "look_up", "{}"), ("step", "Half", 50), ("rest", 60))
    )
    await expect(me.answer.get_by_text("Half", exact=True)).to_be_visible()
    await page.keyboard.press("Control+k")
    await expect(page.get_by_role("dialog")).to_be_visible()
    moving = await page.evaluate(
        """() => document.getAnimations().filter((one) => one.playState === "running")
          .map((one) => [one.animationName ?? one.transitionProperty, one.effect.target.className])"""
    )
    assert moving == []

"""Activity: requests as they run, one's own or everybody's; one request's whole story, and its replay."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Locator, Page, expect

from holdfast_client import connect
from tests.support.browser import Visitors
from tests.support.cast import cast_toml, play
from tests.support.page_sights import person, stands
from tests.support.serving import Server
from tests.support.upstream import Script, Upstream, scripted

TOKENS = (
    '[identity]\nkind = "tokens"\n'
    '[[identity.tokens]]\ntoken = "the-token-of-ann"\nuser = "ann"\n'
    '[[identity.tokens]]\ntoken = "the-token-of-ops"\nuser = "ops"\noperator = true\n'
)
CALLS = play("Look it up", ("tool", "look_up", "{}", "3.1"), ("text", "It is 3.1 metres."))
FAILS = play("It fails", ("fail", "gone", "The tables are gone."))
WORKS = play("At work", ("text", "I look."), ("rest", 60))


@pytest_asyncio.fixture(loop_scope="session")
async def cast(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with agents that say what they are told."""
    async with Server(tmp_path / "server", toml=cast_toml()) as process:
        yield process


@pytest_asyncio.fixture(loop_scope="session")
async def gated(tmp_path: Path) -> AsyncIterator[Server]:
    """Such a server that knows two people, one an operator."""
    toml = cast_toml().replace("\n\n", "\n") + TOKENS
    async with Server(tmp_path / "gated", toml=toml) as process:
        yield process


def rows(page: Page) -> Locator:
    """The requests that are listed."""
    return page.get_by_role("grid", name="Requests").locator("[data-key]")


async def sign_in(page: Page, token: str) -> None:
    """Give the token."""
    await page.get_by_label("Token", exact=True).fill(token)
    await page.get_by_role("button", name="Sign in").click()


async def test_rows_are_live_and_filtered(page_of: Visitors, cast: Server) -> None:
    """What is asked elsewhere appears, moves and ends by itself; filters keep what fits, and are in the address."""
    page = await page_of(cast, "/activity")
    await expect(page.get_by_text("Nothing has been asked yet")).to_be_visible()
    async with connect(cast.url) as client:
        for chat_id, prompt in (("calls", CALLS), ("fails", FAILS), ("works", WORKS)):
            await client.submit(prompt, chat_id=chat_id, agent="player", follow=False)
        await client.submit("Shortly", chat_id="brief", agent="brief", follow=False)
        await page.mouse.move(0, 0)
        await expect(rows(page)).to_have_count(4)
        await expect(rows(page).filter(has_text="At work")).to_have_attribute("data-status", "running")
        await expect(rows(page).filter(has_text="It fails")).to_have_attribute("data-status", "failed")
        shows = page.get_by_role("radiogroup", name="What to show")
        for show, titles in (
            ("Tool invocations", ["Look it up"]), ("Failures", ["It fails"]), ("Running", ["At work"]),
        ):  # fmt: skip
            await shows.get_by_text(show, exact=True).click()
            await expect(rows(page)).to_have_text([re.compile(title) for title in titles])
        await page.reload()
        await expect(rows(page)).to_have_text([re.compile("At work")])
        await rows(page).get_by_role("button", name="Stop At work").click()
        await page.get_by_role("dialog").get_by_role("button", name=re.compile("^Stop")).click()
        await expect(page.get_by_text("Nothing fits this filter")).to_be_visible()
        await page.get_by_role("button", name="Show all").click()
        await expect(rows(page).filter(has_text="At work")).to_have_attribute("data-status", "cancelled")
        await page.get_by_role("combobox", name="Agent").select_option("brief")
        await expect(rows(page)).to_have_text([re.compile("Shortly")])
        await page.get_by_role("combobox", name="Agent").select_option("")
        await page.get_by_role("searchbox", name="Words in the title").fill("look")
        await expect(rows(page)).to_have_text([re.compile("Look it up")])


async def test_an_operator_sees_everybodys(page_of: Visitors, gated: Server) -> None:
    """An operator sees whose requests run, reads their story and stops them; nobody else is offered that."""
    ann = await page_of(gated)
    await sign_in(ann, "the-token-of-ann")
    await person(ann).send(WORKS)
    await stands(person(ann), "running")
    await ann.get_by_role("link", name="Activity").click()
    await expect(rows(ann)).to_have_count(1)
    await expect(ann.get_by_role("radiogroup", name="Whose requests")).to_have_count(0)

    ops = await page_of(gated, "/activity", visitor=await page_of.new())
    await sign_in(ops, "the-token-of-ops")
    await expect(ops.get_by_text("Nothing has been asked yet")).to_be_visible()
    await ops.get_by_role("radiogroup", name="Whose requests").get_by_text("Everyone").click()
    await expect(rows(ops)).to_have_text([re.compile("At work.*ann")])
    await ops.get_by_role("link", name="The story of At work").click()
    await expect(ops.get_by_role("region", name="Timeline")).to_contain_text("Attempt 1")
    await ops.get_by_role("button", name="Stop it").click()
    await ops.get_by_role("dialog").get_by_role("button", name=re.compile("^Stop")).click()
    await expect(rows(ann).first).to_have_attribute("data-status", "cancelled")


async def test_a_story_and_its_replay(page_of: Visitors, server: Server, upstream: Upstream) -> None:
    """A story tells the attempts, what was superseded, who was connected; the replay goes from nothing to the whole answer."""
    page = await page_of(server)
    me = person(page)
    text = "\n\n".join(f"Paragraph {number} says **little**." for number in range(30))
    await me.send(scripted("Tell", Script(text=text, delta_chars=20, cut=5, faulty_calls=1, gap_ms=2)))
    await me.ended("completed")
    whole = await me.answer.locator("p", has_text="Paragraph").all_inner_texts()
    assert len(whole) == 30
    await me.answer.get_by_role("button", name="More", exact=True).click()
    await page.get_by_role("menuitem", name="How it came about").click()
    timeline = page.get_by_role("region", name="Timeline")
    for told in ("Accepted", "Attempt 1", "Superseded", "Attempt 2", "Text", "Answered", "Who was connected"):
        await expect(timeline).to_contain_text(told)
    await expect(timeline.get_by_role("list")).to_contain_text("events 0 to")
    await timeline.get_by_role("button", name=re.compile("^Accepted")).click()
    await expect(timeline).to_contain_text("accepted")

    await page.get_by_role("radiogroup", name="How to see it").get_by_text("Replay").click()
    place = page.get_by_role("slider", name="Position in the replay")
    await expect(place).to_be_focused()
    shown = page.get_by_role("main").locator("p", has_text="Paragraph")
    await page.keyboard.press("Home")
    await expect(shown).to_have_count(0)
    await page.keyboard.press("End")
    await expect(shown).to_have_text(whole)
    await page.keyboard.press("Home")
    await page.get_by_role("radiogroup", name="Speed").get_by_text(re.compile(r"^\d+×$")).last.click()
    await page.get_by_role("button", name="Play").click()
    await expect(shown).to_have_text(whole)
    await page.get_by_role("link", name="Open its chat").click()
    await expect(me.answer).to_contain_text("Paragraph 29")

"""One answer: what was thought and done on the way, how it went, and how long; live, and from the history."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import expect

from tests.support.browser import Visitors
from tests.support.cast import cast_toml, play
from tests.support.page_sights import person, stands
from tests.support.serving import Server
from tests.support.upstream import Script, Upstream, expected_text, scripted


@pytest_asyncio.fixture(loop_scope="session")
async def cast(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with agents that say what they are told."""
    async with Server(tmp_path / "server", toml=cast_toml()) as process:
        yield process


async def test_what_was_done_on_the_way(page_of: Visitors, cast: Server) -> None:
    """Thoughts are folded, a call shows its arguments and its result on demand, steps how far they are; after a reload too."""
    me = person(await page_of(cast))
    outputs = (
        ("reasoning", "First the tables, then the sum."), ("tool", "look_up", '{"what":"tides"}', '{"metres":3.1}'),
        ("step", "Read the tables", 100), ("text", "It is *3.1* metres."),
    )  # fmt: skip
    await me.send(play("How high", *outputs))
    await me.ended("completed")
    for _ in range(2):
        await expect(me.answer.locator("em")).to_have_text("3.1")
        await expect(me.answer.get_by_role("list", name="Steps")).to_contain_text("Read the tables")
        await expect(me.answer.get_by_text("First the tables")).to_have_count(0)
        await me.answer.get_by_role("button", name="Thoughts").click()
        await expect(me.answer.get_by_text("First the tables")).to_be_visible()
        await me.answer.get_by_role("button", name="look_up").click()
        await expect(me.answer.get_by_role("group", name="Code: json")).to_have_text(
            [re.compile(r'"what":\s*"tides"'), re.compile(r'"metres":\s*3\.1')]
        )
        await me.reload()


async def test_what_is_under_way_is_seen(page_of: Visitors, cast: Server) -> None:
    """While a tool runs and a step is counted, both say so, also to somebody who comes in the middle."""
    me = person(await page_of(cast))
    await me.send(play("At work", ("tool", "look_up", "{}"), ("step", "Count the boats", 40), ("rest", 60)))
    for _ in range(2):
        await expect(me.answer.get_by_role("button", name="look_up")).to_contain_text("running")
        await expect(me.answer.get_by_role("progressbar", name="Count the boats")).to_have_attribute(
            "aria-valuenow", "40"
        )
        await me.reload()
    await me.stop()
    await stands(me, "cancelled")
    await expect(me.answer.get_by_role("button", name="look_up")).to_contain_text("unknown")
    await expect(me.answer.get_by_text("stopped at 40 %")).to_be_visible()


async def test_an_attempt_that_was_superseded(page_of: Visitors, server: Server, upstream: Upstream) -> None:
    """What an attempt had shown before it broke off is gone from the answer, and there on demand, marked as superseded."""
    me = person(await page_of(server))
    script = Script(deltas=30, cut=20, faulty_calls=1, reseed=True, gap_ms=5, hold=10)
    await me.send(scripted("Try twice", script))
    first = expected_text(script, 1)[:60].split()[0]
    await expect(me.answer).to_contain_text(first)
    upstream.release()
    await me.ended("completed")
    await me.answer.get_by_role("button", name="Earlier attempt").click()
    earlier = me.answer.get_by_role("group", name="Attempt 1, superseded")
    await expect(earlier).to_contain_text("it was tried again")
    await expect(earlier).to_contain_text(first)
    await expect(me.answer.get_by_role("contentinfo").or_(me.answer.locator("footer"))).to_contain_text(
        "attempt 2"
    )


async def test_how_it_went_is_told(page_of: Visitors, server: Server) -> None:
    """Tokens, how long it took and when the first output came stand under an answer, the same after a reload."""
    me = person(await page_of(server))
    await me.send(scripted("Count", Script(deltas=40, gap_ms=5, slow_first_ms=50, usage="always")))
    await me.ended("completed")
    footer = me.answer.locator("footer")
    await expect(footer).to_contain_text("tokens in")
    await expect(footer).to_contain_text(re.compile(r"first (token|output) after \d"))
    said = re.sub(r"first .*", "", await footer.inner_text())
    await me.reload()
    await expect(footer).to_contain_text(re.compile(r"first (token|output) after \d"))
    assert re.sub(r"first .*", "", await footer.inner_text()) == said


async def test_a_failure_says_why_and_is_tried_again(page_of: Visitors, cast: Server) -> None:
    """A failed answer says why, after a reload too; trying again makes another version beside it."""
    me = person(await page_of(cast))
    await me.send(play("Fail", ("text", "I try."), ("fail", "gone", "The tables are gone.")))
    for _ in range(2):
        await stands(me, "failed")
        await expect(me.answer).to_contain_text("I try.")
        await expect(me.answer).to_contain_text("The tables are gone.")
        await me.reload()
    await me.answer.get_by_role("button", name="Try again").click()
    await expect(me.answer.get_by_role("group", name="Versions")).to_contain_text("Version 2 of 2")
    await stands(me, "failed")

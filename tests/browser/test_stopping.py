"""Stopping and deciding work at any time: after a reload, before the first word, in the queue, without a connection, from any tab."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from tests.support.page_words import ChatPage, People, asked, holding, prose
from tests.support.proxy import FaultProxy
from tests.support.script import Script, scripted, text_sent
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Upstream

TEXT = prose(200)
HELD = Script(text=TEXT, delta_chars=12, gap_ms=2, hold=100)
SHOWN = text_sent(Script(text=TEXT, delta_chars=12, stall=100))
SILENT = Script(text=TEXT, hold=0)
QUESTION = "May the demo count words?"


async def test_stop_after_a_reload(people: People, server: Server, upstream: Upstream) -> None:
    """After a reload the running answer can be stopped: the model is no longer asked, and what was shown stays."""
    upstream.script(HELD)
    me = await people.open(server)
    await me.send("Tell me")
    await me.has_said(500)
    await me.reload()
    await asked(upstream, holding)
    await me.stop()
    await me.ended("cancelled")
    await asked(upstream, lambda calls: calls[0].outcome == "disconnected")
    assert await me.copied() == SHOWN.strip()
    await me.reload()
    await me.ended("cancelled")
    assert await me.copied() == SHOWN.strip()


async def test_stop_before_the_first_word(people: People, server: Server, upstream: Upstream) -> None:
    """An answer that has said nothing yet can be stopped, and the chat goes on."""
    upstream.script(SILENT)
    me = await people.open(server)
    await me.send("Tell me")
    await asked(upstream, holding)
    await expect(me.answer).to_contain_text("Thinking")
    await me.stop()
    await me.ended("cancelled")
    assert await me.said() == ""
    await asked(upstream, lambda calls: calls[0].outcome == "disconnected")
    await me.send(scripted("Again", Script(text="That is all.")))
    await me.ended("completed")


async def test_one_button_stops_one_answer(people: People, server: Server, upstream: Upstream) -> None:
    """While the composer can stop the answer, the answer has no button for it; once it sends instead, or something stands behind
    the answer, it has. What stands behind it says so, and begins when it has ended."""
    upstream.script(HELD)
    me = await people.open(server)
    await me.send("Tell me")
    await me.has_said(500)
    own = me.log.get_by_role("button", name="Stop this answer")
    below = me.page.get_by_role("button", name="Stop", exact=True)
    await expect(below).to_be_visible()
    await expect(own).to_have_count(0)
    await me.in_background()
    await expect(own).to_have_count(0)
    await me.field.fill("More")
    await expect(own).to_have_count(1)
    await expect(below).to_have_count(0)
    await me.send(scripted("And then?", Script(text="That is all.")))
    await expect(me.answer).to_contain_text("Begins when the answer above has ended")
    await expect(below).to_be_visible()
    await expect(me.answers.first.get_by_role("button", name="Stop this answer")).to_be_visible()
    await expect(own).to_have_count(1)
    await own.click()
    await me.ended("completed")
    await expect(me.answer).to_contain_text("That is all.")


async def test_stop_while_the_connection_is_away(people: People, server: Server, upstream: Upstream) -> None:
    """Stop pressed without a connection is delivered when there is one again."""
    upstream.script(HELD)
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        me = await people.open(proxy)
        await me.send("Tell me")
        await asked(upstream, holding)
        await me.has_said(500)
        proxy.half_open()
        await proxy.cut("rst")
        await me.page.context.set_offline(True)
        await me.says("You are offline.")
        await me.stop()
        assert upstream.log.calls[0].outcome == "running"
        proxy.heal()
        await me.page.context.set_offline(False)
        await me.ended("cancelled")
        await asked(upstream, lambda calls: calls[0].outcome == "disconnected")
        assert len(upstream.log.calls) == 1


@pytest_asyncio.fixture(loop_scope="session")
async def narrow(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Server]:
    """A server that writes one answer at a time."""
    toml = openai_toml(upstream.base_url, extra="[limits]\nslots = 1")
    async with Server(tmp_path / "narrow", toml=toml) as process:
        yield process


async def test_stop_in_the_queue(people: People, narrow: Server, upstream: Upstream) -> None:
    """An answer that waits for its turn says so, and stopped there never reaches the model."""
    upstream.script(HELD)
    me = await people.open(narrow)
    await me.send("First")
    await asked(upstream, holding)
    await me.new_chat()
    await me.send("Second")
    await expect(me.answer).to_contain_text(re.compile("Waits for its turn|before it|It is next"))
    await me.stop()
    await me.ended("cancelled")
    upstream.release()
    await me.go_to("First")
    await me.ended("completed")
    assert await me.copied() == TEXT
    assert len(upstream.log.calls) == 1


@pytest_asyncio.fixture(loop_scope="session")
async def asking(tmp_path: Path) -> AsyncIterator[Server]:
    """A server whose agent asks for permission when it is told to."""
    toml = 'default_agent = "demo"\n[agents.demo]\nkind = "demo"\npace = 0\n'
    async with Server(tmp_path / "asking", toml=toml) as process:
        yield process


def card(one: ChatPage) -> Locator:
    """What the person is asked."""
    return one.answer.get_by_role("group", name=QUESTION)


async def in_doubt(people: People, asking: Server) -> ChatPage:
    """A page on which the answer waits for permission."""
    me = await people.open(asking)
    await me.send("Please approve this")
    await expect(card(me).get_by_role("button", name="Approve")).to_be_enabled()
    return me


@pytest.mark.parametrize(("button", "verdict"), [("Approve", "Approved."), ("Deny", "Denied.")])
async def test_decide_after_a_reload(people: People, asking: Server, button: str, verdict: str) -> None:
    """After a reload the question stands as it did, title and sidebar say so, and the decision is taken and kept."""
    me = await in_doubt(people, asking)
    await me.reload()
    await expect(me.page).to_have_title(re.compile(r"^\(1\) Please approve this"))
    await expect(me.chat("Please approve this")).to_have_accessible_name(re.compile("needs you"))
    await card(me).get_by_role("button", name=button).click()
    await me.ended("completed")
    await expect(card(me)).to_contain_text(verdict)
    await expect(me.page).to_have_title(re.compile("^Please approve this"))
    await me.reload()
    await expect(card(me)).to_contain_text(verdict)
    await expect(card(me).get_by_role("button", name="Approve")).to_have_count(0)


async def test_a_decision_counts_in_every_tab(people: People, asking: Server) -> None:
    """Decided in one browser, the question is decided in the others, and leaves their inbox."""
    me = await in_doubt(people, asking)
    other = await people.open(asking, me.path, elsewhere=True)
    inbox = await people.open(asking, "/inbox")
    await expect(inbox.page.get_by_role("region", name="Needs you")).to_be_visible()
    await card(other).get_by_role("textbox", name="Note").fill("go ahead")
    await card(other).get_by_role("button", name="Approve").click()
    await asyncio.gather(me.ended("completed"), other.ended("completed"))
    for one in (me, other):
        await expect(card(one)).to_contain_text("Approved: go ahead")
        await expect(card(one).get_by_role("button", name="Approve")).to_have_count(0)
    await expect(inbox.page.get_by_role("region", name="Needs you")).to_have_count(0)

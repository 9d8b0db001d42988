"""A message typed without a server waits, outlives its page, and is sent once; until then it can be taken back."""

from __future__ import annotations

import asyncio
import re

import pytest
from playwright.async_api import expect

from tests.support.page_words import People, prose
from tests.support.script import Script
from tests.support.serving import Server
from tests.support.upstream import Upstream

SHORT = Script(text="That is all.")
TOPS = "() => [...document.querySelectorAll('[data-row]')].map((row) => row.getBoundingClientRect().top)"
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


async def test_a_message_outlives_its_page_and_is_sent_once(
    people: People, server: Server, upstream: Upstream
) -> None:
    """Sent while the server is dead, it says so; its page is closed; the next page sends it, once, and shows the answer."""
    upstream.script(SHORT)
    me = await people.open(server)
    await me.send("Before")
    await me.ended("completed")
    await server.kill()
    await me.says("No connection to the server.")
    await me.send("Meanwhile")
    await me.says("1 message is kept here and will be sent.")
    await expect(me.questions.last).to_contain_text("Not sent yet")
    await me.page.close()
    await server.start()
    me = await people.open(server)
    await me.go_to("Before")
    await expect(me.questions.last).to_contain_text("Meanwhile")
    await me.ended("completed")
    await expect(me.answer).to_contain_text("That is all.")
    await expect(me.questions).to_have_count(2)
    await me.reload()
    await expect(me.questions).to_have_count(2)
    await expect(me.answers).to_have_count(2)
    assert len(upstream.log.calls) == 2
    await me.is_quiet()


async def test_two_tabs_send_a_message_once(people: People, server: Server, upstream: Upstream) -> None:
    """Both tabs show what waits, and when the server is back only one of them sends it; both show the answer."""
    upstream.script(SHORT)
    me = await people.open(server)
    await me.send("Before")
    await me.ended("completed")
    await me.in_background()
    tab = await people.open(server, me.path)
    await tab.ended("completed")
    await server.kill()
    for one in (me, tab):
        await one.says("No connection to the server.")
    for number, one in enumerate((me, tab), start=1):
        await one.send(f"Meanwhile {number}")
        for other in (me, tab):
            await expect(other.questions).to_have_count(1 + number)
            await expect(other.questions.last).to_contain_text("Not sent yet")
            await other.says(f"{number} message")
    submitted = len(me.wire.submits())
    await server.start()
    for one in (me, tab):
        await expect(one.answers).to_have_count(3)
        await one.ended("completed")
        await expect(one.questions.nth(1)).to_contain_text("Meanwhile 1")
        await expect(one.questions.nth(2)).to_contain_text("Meanwhile 2")
        await one.is_quiet()
    assert len(upstream.log.calls) == 3
    sent = [one["request"]["request_id"] for page in (me, tab) for one in page.wire.submits()][submitted:]
    assert len(sent) == len(set(sent)) == 2


async def test_a_first_message_waits_for_its_chat(people: People, server: Server, upstream: Upstream) -> None:
    """A chat begun while the server is away is in the sidebar as not sent, and is there with its answer afterwards, also if two
    more messages were sent behind the first."""
    upstream.script(SHORT)
    me = await people.open(server)
    await me.is_quiet()
    await me.in_background()
    await server.kill()
    await me.says("No connection to the server.")
    for text in ("One", "Two", "Three"):
        await me.send(text)
    await expect(me.chat("One")).to_have_accessible_name(re.compile("not sent yet"))
    await server.start()
    await expect(me.answers).to_have_count(3)
    await me.ended("completed")
    await me.reload()
    await expect(me.answers).to_have_count(3)
    for number, text in enumerate(("One", "Two", "Three")):
        await expect(me.questions.nth(number)).to_contain_text(text)
    assert len(upstream.log.calls) == 3


async def test_a_message_taken_back_is_not_sent(people: People, server: Server, upstream: Upstream) -> None:
    """Taken back before there was a server, a message is in the composer again, in no tab's thread, and never sent."""
    upstream.script(SHORT)
    me = await people.open(server)
    await me.send("Before")
    await me.ended("completed")
    tab = await people.open(server, me.path)
    await tab.ended("completed")
    await server.kill()
    await me.says("No connection to the server.")
    await me.send("Better not")
    await expect(tab.questions).to_have_count(2)
    await me.page.get_by_role("button", name="Take back").click()
    await expect(me.field).to_have_value("Better not")
    for one in (me, tab):
        await expect(one.questions).to_have_count(1)
    await server.start()
    await asyncio.gather(me.is_quiet(), tab.is_quiet())
    # Commands go out in order: had it been kept, it would have gone before this one.
    await me.field.fill("")
    await me.send("After")
    await me.ended("completed")
    await expect(tab.questions).to_have_count(2)
    asked = [call.messages[-1]["content"] for call in upstream.log.calls if call.messages]
    assert asked == ["Before", "After"]


async def test_the_line_about_the_connection_moves_nothing(
    people: People, server: Server, upstream: Upstream
) -> None:
    """It covers neither title nor messages, and what is read stays where it is on screen when it comes and when it goes: at the
    end, in the middle and at the top."""
    upstream.script(Script(text=prose(1_500)))
    me = await people.open(server)
    await me.send("Tell me much")
    await me.ended("completed")
    for place in ("1e9", "200", "0"):
        await me.log.evaluate(f"(log) => {{ log.scrollTop = {place}; }}")
        await me.page.wait_for_function(PAINTED)
        before = await me.page.evaluate(TOPS)
        await me.page.context.set_offline(True)
        await me.says("You are offline.")
        line = await me.page.get_by_role("status").filter(has_text="You are offline.").bounding_box()
        title = await me.page.get_by_role("heading", level=1).bounding_box()
        assert line is not None
        assert title is not None
        assert line["y"] + line["height"] <= title["y"]
        assert await me.page.evaluate(TOPS) == pytest.approx(before, abs=2)
        await me.page.context.set_offline(False)
        await me.says("Connected again.")
        await expect(me.page.get_by_text("Connected again.")).to_have_count(0)
        assert await me.page.evaluate(TOPS) == pytest.approx(before, abs=2)

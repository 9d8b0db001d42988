"""One person, several chats, tabs and browsers: each shows the whole answer at once, and all of them agree."""

from __future__ import annotations

import asyncio
import re

from playwright.async_api import expect

from tests.support.page_film import Shot, assert_only_grew, bare
from tests.support.page_words import ChatPage, People, prose
from tests.support.script import Script, expected_text, scripted
from tests.support.serving import Server
from tests.support.upstream import Upstream

TEXT = prose(1200)
LONG = Script(text=TEXT, delta_chars=24, gap_ms=4, hold=300)
SHORT = Script(text="That is all.")


async def leave_and_come_back(
    me: ChatPage, upstream: Upstream, *, release_away: bool
) -> tuple[list[Shot], list[Shot]]:
    """From the long answer's chat to the short one's and back: the films until leaving, and since coming back."""
    path = me.path
    before = await me.film()
    await me.go_to("Short")
    await expect(me.answer).to_contain_text("That is all.")
    if release_away:
        upstream.release()
        await expect(me.chat("Long")).to_have_accessible_name(re.compile("unread"))
    await me.go_to("Long")
    await me.has_said(len(before[-1].said))
    if not release_away:
        upstream.release()
    await me.ended("completed")
    film = await me.film()
    away = max(number for number, shot in enumerate(film) if shot.path != path)
    return before, film[away + 1 :]


async def two_chats(people: People, server: Server, upstream: Upstream) -> ChatPage:
    """A page that shows the chat of a long answer in mid-stream, beside a chat with a short one."""
    me = await people.open(server)
    await me.send(scripted("Short", SHORT))
    await me.ended("completed")
    await me.new_chat()
    await me.send(scripted("Long", LONG))
    await me.has_said(4000)
    return me


async def test_switching_back_shows_all_at_the_first_frame_where_it_was(
    people: People, server: Server, upstream: Upstream
) -> None:
    """Back in a chat whose answer still streams, the first frame has the text and the place where it was left, and nothing
    jumps while the rest comes."""
    me = await two_chats(people, server, upstream)
    await me.log.hover()
    await me.page.mouse.wheel(0, -400)
    await expect(me.page.get_by_role("button", name=re.compile("Latest|New output below"))).to_be_visible()
    before, after = await leave_and_come_back(me, upstream, release_away=False)
    assert len(after[0].said) >= len(before[-1].said)
    assert_only_grew(after, TEXT)
    assert bare(TEXT) == after[-1].said
    assert {shot.top for shot in after} == {before[-1].top}
    assert await me.copied() == TEXT


async def test_switching_back_at_the_end_stays_at_the_end(
    people: People, server: Server, upstream: Upstream
) -> None:
    """Who was at the end of a streaming answer is there at each frame after coming back, and no frame shows less than before."""
    me = await two_chats(people, server, upstream)
    before, after = await leave_and_come_back(me, upstream, release_away=False)
    assert len(after[0].said) >= len(before[-1].said)
    assert_only_grew(after, TEXT)
    assert max(shot.below for shot in after) <= 1


async def test_an_answer_that_ended_in_the_background_is_whole(
    people: People, server: Server, upstream: Upstream
) -> None:
    """An answer that ended while another chat was on screen is marked unread, and whole when it is opened, in its place."""
    me = await two_chats(people, server, upstream)
    await me.log.hover()
    await me.page.mouse.wheel(0, -400)
    await expect(me.page.get_by_role("button", name=re.compile("Latest|New output below"))).to_be_visible()
    before, after = await leave_and_come_back(me, upstream, release_away=True)
    assert len(after[0].said) >= len(before[-1].said)
    assert_only_grew(after, TEXT)
    assert {shot.top for shot in after} == {before[-1].top}
    assert await me.copied() == TEXT
    await expect(me.chat("Long")).not_to_have_accessible_name(re.compile("unread"))


async def test_tabs_and_browsers_end_with_the_same_bytes(
    people: People, server: Server, upstream: Upstream
) -> None:
    """Two tabs and another browser on one answer show the same bytes; what one of them sends appears in the others."""
    # Text that looks like the wire itself, in every width of UTF-8.
    hard = Script(seed=11, deltas=120, gap_ms=5, hold=60)
    me = await people.open(server)
    await me.send(scripted("Say it", hard))
    await expect(me.answers).to_have_count(1)
    everybody = [
        me,
        await people.open(server, me.path),
        await people.open(server, me.path, elsewhere=True),
    ]
    for one in everybody:
        await expect(one.answer).to_have_attribute("aria-busy", "true")
    upstream.release()
    await asyncio.gather(*(one.ended("completed") for one in everybody))
    # A copy is without the white space at its ends.
    whole = expected_text(hard).strip(" \t\n\u2028\u2029")
    for one in everybody:
        await one.page.bring_to_front()
        assert await one.copied() == whole
    for number, one in enumerate(everybody[1:], start=2):
        await one.page.bring_to_front()
        await one.send(scripted(f"Again {number}", SHORT))
        for other in everybody:
            await expect(other.questions).to_have_count(number)
            await expect(other.questions.last).to_contain_text(f"Again {number}")
            await expect(other.answer).to_contain_text("That is all.")
            await other.ended("completed")
    assert len(upstream.log.calls) == 3


async def test_drafts_survive_and_agree(people: People, server: Server, upstream: Upstream) -> None:
    """What is typed and not sent is kept per chat over a reload, and appears in the other tab; sent, it is gone in both."""
    me = await people.open(server)
    await me.send(scripted("First", SHORT))
    await me.ended("completed")
    await me.field.fill("half a thought")
    await me.new_chat()
    await me.field.fill("a new idea")
    tab = await people.open(server)
    await expect(tab.field).to_have_value("a new idea")
    await tab.go_to("First")
    await expect(tab.field).to_have_value("half a thought")
    await me.reload()
    await expect(me.field).to_have_value("a new idea")
    await me.go_to("First")
    await expect(me.field).to_have_value("half a thought")
    upstream.script(SHORT)
    await me.field.press("Enter")
    await me.ended("completed")
    await expect(me.field).to_have_value("")
    await expect(tab.field).to_have_value("")
    await me.reload()
    await expect(me.questions).to_have_count(2)
    await expect(me.field).to_have_value("")

"""How things stand is told at a glance: tab title, badges and inbox, and they are right after a reload."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.support.page_words import People, asked
from tests.support.script import Script, scripted
from tests.support.serving import Server
from tests.support.upstream import Upstream

SHORT = Script(text="That is all.")
HELD = Script(text="That is all.", hold=0)
BROKEN = Script(status=400, faulty_calls=None)


async def test_title_and_badges_are_right_after_a_reload(
    people: People, server: Server, upstream: Upstream
) -> None:
    """Running, unread and failed chats are told apart in the sidebar and counted in the tab's title, before and after a reload."""
    me = await people.open(server)
    await me.send(scripted("Slow", HELD))
    await expect(me.chat("Slow")).to_have_accessible_name(re.compile("answering"))
    await expect(me.page).to_have_title(re.compile("^● Slow"))
    await me.new_chat()
    await me.send(scripted("Broken", BROKEN))
    await me.new_chat()
    for _ in range(2):
        await expect(me.chat("Slow")).to_have_accessible_name(re.compile("answering"))
        await expect(me.chat("Broken")).to_have_accessible_name(re.compile("failed"))
        await expect(me.page).to_have_title("(1) ● Holdfast")
        await me.reload()
    upstream.release()
    for _ in range(2):
        await expect(me.chat("Slow")).to_have_accessible_name(re.compile("unread"))
        await expect(me.chat("Broken")).to_have_accessible_name(re.compile("failed"))
        await expect(me.page).to_have_title("(2) Holdfast")
        await me.reload()
    await me.go_to("Slow")
    await expect(me.page).to_have_title(re.compile(r"^\(1\) Slow"))
    await me.reload()
    await expect(me.page).to_have_title(re.compile(r"^\(1\) Slow"))
    await expect(me.chat("Slow")).not_to_have_accessible_name(re.compile("unread"))


async def test_the_inbox_lists_what_ended_while_away(
    people: People, server: Server, upstream: Upstream
) -> None:
    """What finished and failed while no page was open is new in the inbox of every browser, and seen in all once it was in one."""
    me = await people.open(server)
    for title, script in (
        ("Fine", HELD),
        ("Broken", Script(status=400, faulty_calls=None, slow_first_ms=1500)),
    ):
        await me.new_chat()
        await me.send(scripted(title, script))
        await expect(me.chat(title)).to_have_accessible_name(re.compile("answering"))
    await me.page.close()
    upstream.release()
    await asked(upstream, lambda calls: all(call.ended is not None for call in calls))
    other = await people.open(server, elsewhere=True)
    await expect(other.page.get_by_role("link", name=re.compile("^Inbox ?2 new"))).to_be_visible()
    me = await people.open(server, "/inbox")
    new = me.page.get_by_role("region", name="New", exact=True)
    await expect(new.get_by_role("link")).to_have_count(2)
    await expect(new.get_by_role("link", name="Fine")).to_contain_text("Answered")
    await expect(new.get_by_role("link", name="Broken")).to_contain_text("Failed")
    # Looking at it for a moment is having seen it.
    for one in (me, other):
        await expect(one.page.get_by_role("link", name=re.compile("^Inbox.* new"))).to_have_count(0)
        await expect(one.page).to_have_title("Holdfast")
    await other.page.get_by_role("link", name="Inbox").click()
    await expect(other.page.get_by_role("region", name="Earlier").get_by_role("link")).to_have_count(2)

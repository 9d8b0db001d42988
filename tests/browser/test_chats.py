"""Chats: found, named, put away, brought back; several at once; asked otherwise, answered again, quoted, copied."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from tests.support.browser import Visitors
from tests.support.cast import cast_toml, play
from tests.support.page_sights import person, said, stands
from tests.support.page_words import ChatPage
from tests.support.serving import Server
from tests.support.upstream import Script, Upstream, scripted


@pytest_asyncio.fixture(loop_scope="session")
async def cast(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with agents that say what they are told."""
    async with Server(tmp_path / "server", toml=cast_toml()) as process:
        yield process


async def talked(me: ChatPage, *questions: str) -> None:
    """Ask these in one chat, each after the answer to the one before it."""
    for question in questions:
        await me.send(question)
        await me.ended("completed")


async def choose(me: ChatPage, title: str, action: str) -> None:
    """An action of the menu of a chat's row."""
    await me.page.bring_to_front()
    await me.page.get_by_role("button", name=f"Actions for {title}").click()
    await me.page.get_by_role("menuitem", name=action).click()


def versions(message: Locator) -> Locator:
    """Where the versions of a message are walked."""
    return message.get_by_role("group", name="Versions")


async def test_a_chat_is_found_by_its_words(page_of: Visitors, cast: Server) -> None:
    """Words of a question or an answer find their chat, marked in what was said; a title's do; others find nothing."""
    me = person(await page_of(cast))
    await talked(me, "Where do storks nest")
    await me.new_chat()
    await talked(me, "How deep is a lake")
    search = me.page.get_by_role("textbox", name="Search chats")
    results = me.page.get_by_role("region", name="Search results")
    await search.fill("storks")
    await expect(results.locator("mark").first).to_have_text("storks")
    await expect(results).not_to_contain_text("lake")
    await search.press("ArrowDown")
    await me.page.keyboard.press("Enter")
    await expect(me.page.get_by_role("heading", level=1)).to_have_text("Where do storks nest")
    await search.fill("herons")
    await expect(results.get_by_role("status")).to_have_text("No results")
    await me.page.get_by_role("button", name="Clear the search").click()
    await expect(me.chats.get_by_role("link")).to_have_count(2)


async def test_the_palette_leads_to_a_message(page_of: Visitors, cast: Server) -> None:
    """What it finds in messages opens the chat at that message, marked; also in the chat that is open already."""
    me = person(await page_of(cast))
    await talked(me, "Where do storks nest", *(f"And number {number}" for number in range(12)))
    for elsewhere in (False, True):
        if elsewhere:
            await me.new_chat()
        else:
            await expect(me.questions.first).not_to_be_in_viewport()
        await me.page.keyboard.press("Control+k")
        await me.page.get_by_role("combobox").fill("storks")
        hit = me.page.get_by_role("option").filter(has_text="You said: Where do storks nest")
        await expect(hit.locator("mark")).to_have_text("storks")
        await expect(me.page.get_by_text("Nothing matches")).to_have_count(0)
        await hit.click()
        await expect(me.answers.first).to_be_focused()
        await expect(me.answers.first).to_be_in_viewport()


async def test_a_broken_link_is_told_by_the_page(page_of: Visitors, cast: Server) -> None:
    """Who comes to an address that is none is told so, and can go on from there."""
    page_of.watch.expect("404")
    page = await page_of(cast, "/no/such/place")
    await expect(page.get_by_role("heading", level=1)).to_have_text("There is nothing at this address")
    await page.get_by_role("button", name="Begin a new chat").click()
    await expect(person(page).field).to_be_visible()


async def test_a_chat_is_named_put_away_and_brought_back(page_of: Visitors, cast: Server) -> None:
    """A new title is there in every tab and after a reload; the archive takes a chat and gives it back; so does deletion."""
    page = await page_of(cast)
    me, other = person(page), person(await page_of(cast))
    await talked(me, "One thing")
    await choose(me, "One thing", "Rename")
    await expect(page.get_by_role("textbox", name="New title of One thing")).to_be_focused()
    await page.keyboard.type("Another name")
    await page.keyboard.press("Enter")
    for each in (me, other):
        await expect(each.chat("Another name")).to_be_visible()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Another name")
    await choose(me, "Another name", "Archive")
    for each in (me, other):
        await expect(each.chats).to_contain_text("Your chats will be listed here.")
    await page.get_by_role("complementary").get_by_role("button", name="More").click()
    await page.get_by_role("menuitem", name="Show archived chats").click()
    put_away = page.get_by_role("navigation", name="Archived chats")
    await expect(put_away.get_by_role("link")).to_have_text(re.compile("Another name"))
    await choose(me, "Another name", "Take out of the archive")
    await expect(put_away).to_contain_text("Nothing is archived.")
    await put_away.get_by_role("button", name="Archived chats").click()
    await expect(me.chat("Another name")).to_be_visible()

    await choose(me, "Another name", "Delete")
    for each in (me, other):
        await expect(each.chats).to_contain_text("Your chats will be listed here.")
    deleted = said(page).get_by_role("listitem").filter(has_text="Deleted")
    await deleted.get_by_role("button", name="Undo").click()
    for each in (me, other):
        await expect(each.chat("Another name")).to_be_visible()
    await me.reload()
    await me.go_to("Another name")
    await expect(me.answer).to_contain_text("You said: One thing")


async def test_several_chats_answer_at_once(page_of: Visitors, server: Server, upstream: Upstream) -> None:
    """Each chat shows that it answers, then that there is something new; the one that is looked at does not."""
    page = await page_of(server)
    me = person(page)
    for number in range(3):
        await me.new_chat()
        await me.send(scripted(f"Chat {number}", Script(text=f"Answer {number}", hold=0)))
        await stands(me, "running")
    for number in range(3):
        await expect(me.chat(f"Chat {number}")).to_have_accessible_name(re.compile("answering$"))
    await expect(page.get_by_role("link", name="2 running elsewhere")).to_be_visible()
    upstream.release()
    for number in range(2):
        await expect(me.chat(f"Chat {number}")).to_have_accessible_name(re.compile("unread$"))
    await expect(me.chat("Chat 2")).to_have_accessible_name("Chat 2")
    await me.reload()
    await expect(me.chat("Chat 1")).to_have_accessible_name(re.compile("unread$"))
    await me.go_to("Chat 1")
    await expect(me.answer).to_contain_text("Answer 1")
    await expect(me.chat("Chat 1")).to_have_accessible_name("Chat 1")


async def test_versions_of_answers_and_questions_are_walked(page_of: Visitors, cast: Server) -> None:
    """Answering again and asking otherwise make versions, of the first message too; each leads to what was said under it,
    with keys as with the pointer, and the one that is chosen is there after a reload."""
    page = await page_of(cast)
    me = person(page)
    await talked(me, "First wording", "And then?")
    await me.answers.last.get_by_role("button", name="Answer again").click()
    await expect(versions(me.answers.last)).to_contain_text("Version 2 of 2")
    await me.ended("completed")
    await versions(me.answers.last).get_by_role("button", name="Previous answer").click()
    await expect(versions(me.answers.last)).to_contain_text("Version 1 of 2")

    await asked_otherwise(me, me.questions.last, "And now?")
    await expect(versions(me.questions.last)).to_contain_text("Version 2 of 2")
    await expect(me.answers.last).to_contain_text("You said: And now?")

    await asked_otherwise(me, me.questions.first, "Second wording")
    await expect(me.questions).to_have_count(1)
    await expect(versions(me.questions.first)).to_contain_text("Version 2 of 2")
    await expect(me.answers.first).to_contain_text("You said: Second wording")
    await me.questions.first.focus()
    await page.keyboard.press("[")
    await expect(me.questions).to_have_text([re.compile("First wording"), re.compile("And now?")])
    await expect(me.questions.first).to_be_focused()
    await page.keyboard.press("]")
    await expect(me.questions).to_have_text([re.compile("Second wording")])
    await me.reload()
    await expect(me.questions).to_have_text([re.compile("Second wording")])
    await expect(me.chats.get_by_role("link")).to_have_count(1)


async def asked_otherwise(me: ChatPage, question: Locator, words: str) -> None:
    """Edit a message that was sent."""
    await question.hover()
    await question.get_by_role("button", name="Edit").click()
    field = me.page.get_by_role("textbox", name="Your message")
    await field.fill(words)
    await field.press("Enter")
    await expect(field).to_have_count(0)
    await me.ended("completed")


async def test_an_edit_is_left(page_of: Visitors, cast: Server) -> None:
    """Arrow up in an empty field edits the last message; Escape leaves it as it was, with the focus on it."""
    me = person(await page_of(cast))
    await talked(me, "As it was")
    await me.field.press("ArrowUp")
    field = me.page.get_by_role("textbox", name="Your message")
    await expect(field).to_be_focused()
    await field.fill("Otherwise")
    await field.press("Escape")
    await expect(me.questions).to_have_text([re.compile("As it was")])
    await expect(me.questions.first).to_be_focused()
    await expect(versions(me.questions.first)).to_have_count(0)


async def test_a_message_is_deleted_after_asking(page_of: Visitors, cast: Server) -> None:
    """Deleting a message takes what follows it along, once it is confirmed; a chat keeps what came before."""
    me = person(await page_of(cast))
    await talked(me, "Keep this", "Not this")
    await me.questions.last.hover()
    await me.questions.last.get_by_role("button", name="Delete").click()
    await me.page.get_by_role("dialog").get_by_role("button", name="Keep it").click()
    await expect(me.questions).to_have_count(2)
    await me.questions.last.get_by_role("button", name="Delete").click()
    await me.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for _ in range(2):
        await expect(me.questions).to_have_text([re.compile("Keep this")])
        await expect(me.answers).to_have_count(1)
        await me.reload()


async def test_copying_and_quoting(page_of: Visitors, cast: Server) -> None:
    """An answer is copied as its Markdown, code as it stands; a quoted answer stands in the composer, kept as a draft."""
    page = await page_of(cast, visitor=await page_of.new(permissions=["clipboard-write"]))
    me = person(page)
    text = "Some **bold** words.\n\n```python\nx = 1\n```"
    await me.send(play("Give me code", ("text", text)))
    await me.ended("completed")
    for button, copied in (("Copy as text", text), ("Copy code", "x = 1")):
        copy = me.answer.get_by_role("button", name=button, exact=True)
        await copy.click()
        await expect(copy).to_have_count(0)  # it says "Copied" now, and does so when it is done
        # The page's policy forbids it to read the clipboard; a person pastes.
        await me.field.press("Control+v")
        await expect(me.field).to_have_value(copied)
        await me.field.fill("")
    await me.answer.get_by_role("button", name="Quote in my message").click()
    await expect(me.field).to_be_focused()
    quoted = re.compile(r"^> Some \*\*bold\*\* words\.\n")
    await expect(me.field).to_have_value(quoted)
    await me.new_chat()
    await expect(me.field).to_have_value("")
    await me.go_to("Give me code")
    await expect(me.field).to_have_value(quoted)


async def test_an_agent_is_chosen_per_chat(page_of: Visitors, cast: Server) -> None:
    """Who answers is chosen before the first message or later, holds for that chat alone, and after a reload."""
    page = await page_of(cast)
    me = person(page)
    await page.get_by_role("button", name="Agent: player").click()
    await page.get_by_role("menuitemradio", name=re.compile("^stranger")).click()
    await talked(me, "Who are you?")
    await expect(me.answer).to_contain_text("I am a stranger.")
    await me.new_chat()
    await talked(me, "And you?")
    await expect(me.answer).to_contain_text("You said: And you?")
    await me.go_to("Who are you?")
    await me.reload()
    await expect(page.get_by_role("button", name="Agent: stranger")).to_be_visible()
    await page.get_by_role("button", name="Agent: stranger").click()
    await page.get_by_role("menuitemradio", name=re.compile("^brief")).click()
    await talked(me, "Shortly")
    await expect(me.answer).to_contain_text("On Shortly")


@pytest.mark.parametrize("mode", ["Wait", "Background"])
async def test_waiting_or_not(page_of: Visitors, server: Server, upstream: Upstream, mode: str) -> None:
    """With `Wait` the composer holds the next message back until the answer is there; in the background it is queued behind it."""
    page = await page_of(server)
    me = person(page)
    toggle = page.get_by_role("radiogroup", name="How to wait for answers")
    await toggle.get_by_text(mode).click()
    await me.send(scripted("One", Script(text="First answer.", hold=0)))
    await stands(me, "running")
    await me.field.fill("Two")
    await me.field.press("Enter")
    if mode == "Wait":
        await expect(
            page.get_by_text("Waiting for the answer. It goes on if you leave this page.")
        ).to_be_visible()
        await expect(me.field).to_have_value("Two")
        await expect(me.questions).to_have_count(1)
    else:
        await expect(me.questions).to_have_count(2)
        await expect(me.field).to_have_value("")
    upstream.release()
    if mode == "Wait":
        await me.ended("completed")
        await me.field.press("Enter")
    await expect(me.answers).to_have_count(2)
    await expect(me.answers.first).to_contain_text("First answer.")
    await me.ended("completed")
    await me.reload()
    await expect(page.get_by_role("radio", name=mode)).to_be_checked()

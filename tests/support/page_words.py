"""How tests speak of the page: what a person does there and sees, found by role and name.

    me = await people.open(server)                # a page of the first browser
    tab = await people.open(server, me.path)      # another tab of it
    other = await people.open(server, me.path, elsewhere=True)   # another browser
    await me.send("Hello")
    await me.has_said(400)                        # characters of the last answer
    await me.reload()
    await me.ended("completed")
    assert await me.copied() == text

At its end `people` looks at every page's wire: none started over, so every digest of every answer matched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import cast

from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.support.browser import Visitors
from tests.support.calls import Call
from tests.support.page_film import CAMERA, Shot, film_of
from tests.support.page_wire import Wire
from tests.support.proxy import FaultProxy
from tests.support.serving import Server
from tests.support.upstream import Upstream

# The longest wait between two tries early on, a check that times out, and a cold server on a busy machine.
RECONNECT_MS = 30_000


async def asked(upstream: Upstream, holds: Callable[[Sequence[Call]], bool]) -> None:
    """Returns once the calls that reached the model are such."""
    await upstream.log.until(lambda calls: len(calls) > 0 and holds(calls), RECONNECT_MS / 1000)


def holding(calls: Sequence[Call]) -> bool:
    """The model was asked, and its latest answer has come to where it waits for the test."""
    return calls[-1].stalled


def prose(words: int, *, start: int = 1) -> str:
    """An answer of numbered words in paragraphs, so that what is lost, doubled or moved can be told."""
    numbered = [f"word{number:04}" for number in range(start, start + words)]
    return "\n\n".join(" ".join(numbered[at : at + 40]) for at in range(0, words, 40))


class ChatPage:
    """One page in front of one person."""

    def __init__(self, page: Page, wire: Wire) -> None:
        self.page = page
        self.wire = wire
        self.log = page.get_by_role("log", name="Messages")
        self.answers = self.log.get_by_role("article", name=re.compile("^Answer"))
        self.questions = self.log.get_by_role("article", name="You")
        self.field = page.get_by_role("textbox", name="Message", exact=True)
        self.chats = page.get_by_role("navigation", name="Chats")

    @property
    def path(self) -> str:
        """The address, without its host."""
        return "/" + self.page.url.split("/", 3)[3]

    @property
    def answer(self) -> Locator:
        """The last answer."""
        return self.answers.last

    async def request_id(self) -> str:
        """The id of the last answer's request."""
        rows = "() => answersShown().at(-1)?.closest('[data-row]').dataset.row ?? ''"
        request_id: str = await self.page.evaluate(rows)
        return request_id

    # What a person does: a tab that is not looked at draws once a second, and so does what is done in it.

    async def send(self, text: str) -> None:
        """Types a message and sends it; returns when it is in the thread."""
        await self.page.bring_to_front()
        before = await self.questions.count()
        await self.field.fill(text)
        await self.field.press("Enter")
        await expect(self.questions).to_have_count(before + 1)

    async def reload(self) -> None:
        """Reloads the page."""
        await self.page.reload(wait_until="load")

    async def go_to(self, title: str) -> None:
        """Opens a chat by its line in the sidebar."""
        await self.page.bring_to_front()
        await self.chat(title).click()

    async def new_chat(self) -> None:
        """Opens an empty chat."""
        await self.page.bring_to_front()
        await self.page.get_by_role("link", name="New chat").first.click()
        await expect(self.page).to_have_url(re.compile(r"//[^/]+/$"))

    async def in_background(self) -> None:
        """From now on what is sent in this chat does not wait for the answer before it."""
        await self.page.bring_to_front()
        await self.page.get_by_role("radio", name="Background").check(force=True)

    async def stop(self) -> None:
        """Presses the stop button of the composer."""
        await self.page.bring_to_front()
        await self.page.get_by_role("button", name="Stop", exact=True).click()

    async def copied(self) -> str:
        """The last answer as its copy button gives it: what this page holds, to the byte."""
        await self.page.bring_to_front()
        await self.answer.get_by_role("button", name=re.compile("^(Copy as text|Copied)$")).click()
        text: str = await self.page.evaluate("() => window.copied")
        return text

    # What a person sees

    def chat(self, title: str) -> Locator:
        """A chat's line in the sidebar; its name ends with what its badge says."""
        return self.chats.get_by_role("link", name=re.compile("^" + re.escape(title)))

    async def says(self, line: str) -> None:
        """The line about the connection says so."""
        await expect(self.page.get_by_role("status").filter(has_text=line)).to_be_visible(
            timeout=RECONNECT_MS
        )

    async def is_quiet(self) -> None:
        """The page is connected, and has nothing to say about it any more."""
        await expect(self.page.get_by_text("Not connected", exact=True)).to_have_count(0)
        trouble = re.compile("No connection|offline|restarting|Connecting|Sending|kept here")
        await expect(self.page.get_by_role("status").filter(has_text=trouble)).to_have_count(
            0, timeout=RECONNECT_MS
        )

    async def said(self) -> str:
        """The last answer's words now, without white space."""
        shown = "() => { const last = answersShown().at(-1); return last ? saidIn(last) : ''; }"
        words: str = await self.page.evaluate(shown)
        return words

    async def has_said(self, chars: int) -> None:
        """Returns once the last answer shows so many characters, white space aside."""
        enough = (
            "(chars) => { const last = answersShown().at(-1); return last && saidIn(last).length >= chars; }"
        )
        await self.page.wait_for_function(enough, arg=chars, timeout=RECONNECT_MS)

    async def ended(self, status: str) -> None:
        """Returns once the last answer has come to this outcome."""
        await expect(self.answer).to_have_attribute("data-status", status, timeout=RECONNECT_MS)
        await expect(self.answer).not_to_have_attribute("aria-busy", "true")

    async def film(self) -> list[Shot]:
        """What this document has shown so far."""
        return await film_of(self.page)


class People:
    """Those who take part in a test. Called `open`, one opens a page."""

    def __init__(self, visitors: Visitors) -> None:
        self.pages: list[ChatPage] = []
        self._visitors = visitors
        self._home: BrowserContext | None = None

    async def open(self, door: Server | FaultProxy, path: str = "/", *, elsewhere: bool = False) -> ChatPage:
        """A page of the server, or of the network before it; `elsewhere`: in another browser."""
        if elsewhere or self._home is None:
            context = await self._visitors.new()
            await context.add_init_script(CAMERA)
            if not elsewhere:
                self._home = context
        else:
            context = self._home
        wires: list[Wire] = []

        def listen(page: Page) -> None:
            wires.append(Wire(page))

        context.on("page", listen)
        # Of a server a visitor asks the port and nothing else.
        page = await self._visitors(cast("Server", door), path, visitor=context)
        context.remove_listener("page", listen)
        self.pages.append(ChatPage(page, wires[0]))
        return self.pages[-1]

    def assert_verified(self) -> None:
        """No page found anything else than what the server holds."""
        assert [one.wire.started_over() for one in self.pages] == [[] for _ in self.pages]

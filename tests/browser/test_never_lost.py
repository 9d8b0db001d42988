"""An answer survives what happens to pages, networks and servers: what is shown only grows, and ends whole."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect

from tests.support.page_film import assert_only_grew, bare
from tests.support.page_words import RECONNECT_MS, People, asked, prose
from tests.support.proxy import FaultProxy
from tests.support.script import Script, text_sent
from tests.support.serving import Server
from tests.support.upstream import Upstream

TEXT = prose(400)
# It streams for a second, then waits for the test: no scenario can come too late.
HELD = Script(text=TEXT, delta_chars=12, gap_ms=5, hold=200)
SOON = 300  # characters: the answer is in the middle of streaming
HELD_CHARS = len(bare(text_sent(Script(text=TEXT, delta_chars=12, stall=200))))


async def test_a_reload_in_mid_answer_loses_nothing(
    people: People, server: Server, upstream: Upstream
) -> None:
    """Reloaded while it streams, the page shows the answer again from one snapshot, goes on, and ends with the model's text."""
    upstream.script(HELD)
    me = await people.open(server)
    await me.send("Tell me")
    await me.has_said(SOON)
    request_id = await me.request_id()
    assert_only_grew(await me.film(), TEXT)
    await me.reload()
    await me.has_said(HELD_CHARS)
    upstream.release()
    await me.ended("completed")
    assert await me.copied() == TEXT
    assert bare(TEXT) == await me.said()
    film = await me.film()
    assert_only_grew(film, TEXT)
    # The reload did not begin again from nothing: what first came on screen was what had been there before.
    assert len(next(shot.said for shot in film if shot.said)) >= SOON
    [link] = [one for one in me.wire.links if one.document == me.wire.links[-1].document]
    assert [one.get("cursor") for one in link.subscribes(request_id)] == [None]
    assert len(link.snapshots(request_id)) == 1
    assert [one["start"] for one in link.pages(request_id)].count(0) == 1
    assert link.caught_up(request_id)[-1]["sealed"]
    assert len(upstream.log.calls) == 1


async def test_a_lost_connection_is_resumed_from_the_cursor(
    people: People, server: Server, upstream: Upstream
) -> None:
    """Cut again and again, the page asks for what comes after what it has, is never sent anything twice, and ends whole."""
    upstream.script(HELD)
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        me = await people.open(proxy)
        await me.send("Tell me")
        await me.has_said(SOON)
        request_id = await me.request_id()
        for cuts in (1, 2, 3):
            await me.has_said(cuts * SOON)
            await proxy.cut("rst")
            # All of it may be on screen by now: the next cut must not come before this one was resumed.
            async with asyncio.timeout(RECONNECT_MS / 1000):
                while sum(bool(link.subscribes(request_id)) for link in me.wire.links[1:]) < cuts:  # noqa: ASYNC110  the wire tells nobody
                    await asyncio.sleep(0.02)
        await me.has_said(HELD_CHARS)
        upstream.release()
        await me.ended("completed")
        assert await me.copied() == TEXT
        assert_only_grew(await me.film(), TEXT)
        later = me.wire.links[1:]
        resumed = [link for link in later if link.subscribes(request_id)]
        assert len(resumed) >= 3
        for link in resumed:
            assert all(one["cursor"] for one in link.subscribes(request_id))
            assert not link.snapshots(request_id)
            assert all(one["start"] > 0 for one in link.pages(request_id))
        pages = [one for link in me.wire.links for one in link.pages(request_id)]
        assert [one["start"] for one in pages[1:]] == [int(one["next"].split("-")[0]) for one in pages[:-1]]


async def test_a_killed_server_is_waited_for(people: People, server: Server, upstream: Upstream) -> None:
    """While the server is dead the page says so and keeps what it shows; with the next one it goes on, says that this is another
    attempt, keeps the first one to be looked at, and ends whole."""
    upstream.script(HELD)
    me = await people.open(server)
    await me.send("Tell me")
    await me.has_said(HELD_CHARS)
    shown = await me.said()
    await server.kill()
    await me.says("No connection to the server.")
    assert await me.said() == shown
    await server.start()
    await asked(upstream, lambda calls: len(calls) == 2 and calls[1].stalled)
    await me.is_quiet()
    upstream.release()
    await me.ended("completed")
    assert await me.copied() == TEXT
    await expect(me.answer.get_by_text("attempt 2", exact=True)).to_be_visible()
    await me.answer.get_by_role("button", name="Earlier attempt").click()
    first = me.answer.get_by_role("group", name="Attempt 1, superseded")
    assert bare(await first.inner_text()).endswith(shown)
    # No frame showed anything but one of the two attempts.
    assert all(bare(TEXT).startswith(shot.said) for shot in await me.film())


async def test_airplane_mode(people: People, server: Server, upstream: Upstream) -> None:
    """Without a network the page says that it is offline; when it is back the page connects at once, and the answer is whole."""
    upstream.script(HELD)
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        me = await people.open(proxy)
        await me.send("Tell me")
        await me.has_said(SOON)
        await me.page.context.set_offline(True)
        await proxy.cut("rst")
        await me.says("You are offline.")
        before = await me.said()
        upstream.release()
        await asked(upstream, lambda calls: calls[0].ended is not None)
        assert await me.said() == before
        await me.page.context.set_offline(False)
        await me.ended("completed")
        await me.is_quiet()
        assert await me.copied() == TEXT
        assert_only_grew(await me.film(), TEXT)


@pytest.mark.parametrize("told", ["network", "lid"])
async def test_a_connection_that_died_silently_is_found_out(
    people: People, server: Server, upstream: Upstream, told: str
) -> None:
    """A connection in which nothing arrives any more is noticed when the network changed or the machine slept, and replaced."""
    upstream.script(HELD)
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        me = await people.open(proxy)
        if told == "lid":
            await me.page.clock.install()
            await me.reload()
        await me.send("Tell me")
        await me.has_said(SOON)
        count = len(me.wire.links)
        proxy.half_open()
        proxy.heal()  # new connections get through: only the one that the page holds is dead
        upstream.release()
        if told == "network":
            await me.page.evaluate("() => window.dispatchEvent(new Event('online'))")
        else:
            # Timers that go off ten minutes late are all that a page sees of having slept.
            await me.page.clock.fast_forward(600_000)
        await me.ended("completed")
        assert await me.copied() == TEXT
        assert_only_grew(await me.film(), TEXT)
        request_id = await me.request_id()
        assert [one["cursor"] is not None for one in me.wire.links[-1].subscribes(request_id)] == [True]
        assert len(me.wire.links) == count + 1


async def test_a_frozen_page_comes_back(people: People, server: Server, upstream: Upstream) -> None:
    """A page that the browser froze, and whose connection ended meanwhile, resumes when it is thawed."""
    upstream.script(HELD)
    async with FaultProxy("127.0.0.1", server.port) as proxy:
        me = await people.open(proxy)
        await me.send("Tell me")
        await me.has_said(SOON)
        devtools = await me.page.context.new_cdp_session(me.page)
        await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
        await proxy.cut("rst")
        upstream.release()
        await asked(upstream, lambda calls: calls[0].ended is not None)
        await devtools.send("Page.setWebLifecycleState", {"state": "active"})
        await me.ended("completed")
        assert await me.copied() == TEXT
        assert_only_grew(await me.film(), TEXT)

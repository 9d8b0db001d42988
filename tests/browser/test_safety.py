"""Whatever a model, a tool or a title says: nothing of it runs, nothing of it is fetched, nothing of it hides."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.support.browser import Visitors
from tests.support.cast import NASTY, cast_toml, play
from tests.support.page_sights import corpus, guard, person, stands, unharmed
from tests.support.page_words import ChatPage
from tests.support.serving import Server
from tests.support.upstream import Script, Upstream, scripted


@pytest_asyncio.fixture(loop_scope="session")
async def cast(tmp_path: Path, upstream: Upstream) -> AsyncIterator[Server]:
    """A server with agents that say what they are told, and the scripted model."""
    async with Server(tmp_path / "server", toml=cast_toml(base_url=upstream.base_url)) as process:
        yield process


# What a diagram's text asks for is tried in its frame, and it is the frame's policy that keeps it from happening.
TRIED_IN_THE_FRAME = (
    "^console: (Executing inline event handler|Loading the image|Framing) .*Content Security Policy"
)


async def guarded(page_of: Visitors, server: Server) -> tuple[ChatPage, Page]:
    """A page that notes what must not be in it."""
    await guard(await page_of.new())
    page = await page_of(server)
    return person(page), page


async def test_nothing_in_an_answer_runs(page_of: Visitors, cast: Server) -> None:
    """Each of more than a hundred hostile texts, streamed by threes of characters, is harmless at every moment; after a reload too."""
    page_of.watch.expect(TRIED_IN_THE_FRAME)
    payloads = corpus()
    assert len(set(payloads)) > 100
    me, page = await guarded(page_of, cast)
    await me.send(play("Do your worst", *(("text", one) for one in payloads)))
    await me.ended("completed")
    await expect(me.answer).to_contain_text("<script>alert(1)</script>")
    await unharmed(page)
    await page.reload()
    await expect(me.answer).to_contain_text("<script>alert(1)</script>")
    await unharmed(page)


async def test_nothing_of_a_models_stream_runs(page_of: Visitors, server: Server) -> None:
    """The same texts as one answer of a model's API, where what one leaves open takes in the next."""
    page_of.watch.expect(TRIED_IN_THE_FRAME)
    me, page = await guarded(page_of, server)
    text = "\n\n".join(corpus())
    await me.send(scripted("All at once", Script(text=text, delta_chars=7, reasoning=text, gap_ms=0)))
    await me.ended("completed")
    await page.get_by_role("button", name="Thoughts").click()
    await unharmed(page)
    await page.close()  # before its server goes: a frame may still be loading


async def test_nothing_around_an_answer_runs(page_of: Visitors, cast: Server) -> None:
    """Names, arguments, results, labels, addresses, files, values, questions to the person and titles are text."""
    me, page = await guarded(page_of, cast)
    evil = (
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "//evil.example/x",
        "\\\\evil.example\\x",
    )
    await me.send(
        play(
            f"{NASTY} zebra",
            ("reasoning", NASTY),
            ("tool", NASTY[:60], '{"a": "<img src=x onerror=alert(1)>"}', NASTY),
            ("step", NASTY, 40),
            *(("cite", address, NASTY) for address in evil),
            *(("cite", address, "") for address in evil),
            *(("attach", address, NASTY[:40], NASTY) for address in evil),
            ("value", NASTY, {NASTY: NASTY}),
            ("wait", {"title": NASTY, "tool": NASTY, "arguments": {"x": NASTY}}),
        ),
    )
    await stands(me, "waiting")
    folded = me.answer.locator("button[aria-expanded=false][aria-controls]")
    while await folded.count():
        await folded.first.click()
    await expect(me.answer.get_by_role("link")).to_have_count(0)
    await expect(me.chats).to_contain_text("<img src=x")
    await unharmed(page)
    await page.get_by_role("button", name="Approve").click()
    await me.ended("completed")
    await page.get_by_role("textbox", name="Search chats").fill("zebra")
    await expect(page.get_by_role("region", name="Search results").get_by_role("link")).not_to_have_count(0)
    await expect(page.get_by_role("region", name="Search results")).to_contain_text("onerror")
    await unharmed(page)
    await page.goto(page.url.split("/c/")[0] + "/activity")
    await page.get_by_role("link", name="The story of").first.click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("<img src=x")
    for view in ("Events", "Replay"):
        await page.get_by_role("radiogroup", name="How to see it").get_by_text(view).click()
    await unharmed(page)


async def test_nothing_in_a_failure_or_an_agents_description_runs(page_of: Visitors, cast: Server) -> None:
    """What went wrong, in a tool's or a server's words, and what an agent says of itself, is text."""
    me, page = await guarded(page_of, cast)
    await me.send(play("Fail", ("text", "I try."), ("fail", "bad", NASTY)))
    await stands(me, "failed")
    await expect(me.answer).to_contain_text(NASTY)
    await page.get_by_role("button", name="Agent: player").click()
    await expect(page.get_by_role("menuitemradio", name="stranger")).to_contain_text(NASTY)
    await unharmed(page)
    await page.keyboard.press("Escape")
    await page.goto(page.url.split("/c/")[0] + "/inbox")
    await unharmed(page)


DIAGRAM = "```mermaid\ngraph TD\n  Start --> Done\n```\n"
HOSTILE_DIAGRAMS = (
    ('```mermaid\n%%{init: {"securityLevel": "loose", "htmlLabels": true}}%%\ngraph TD\n'
    '  A["<img src=x onerror=alert(1)>"] --> B["<iframe srcdoc=\'<script>alert(1)</script>\'></iframe>"]\n'
    '  click A "javascript:alert(1)"\n  click B call alert(1)\n```\n'),
    ("```mermaid\nsequenceDiagram\n  participant A as <img src=x onerror=alert(1)>\n  A->>A: <svg onload=alert(1)>\n"
    "  link A: Press @ javascript:alert(1)\n```\n"),
    ("```mermaid\n---\nconfig:\n  securityLevel: loose\n  themeCSS: '*{background:url(http://evil.example/x)}'\n---\n"
    'classDiagram\n  class A\n  click A href "javascript:alert(1)"\n```\n'),
)  # fmt: skip


async def test_a_diagram_is_drawn_where_it_reaches_nothing(page_of: Visitors, cast: Server) -> None:
    """A diagram is drawn; its frame has no origin: neither the page nor the network, storage or the window above is in its reach."""
    page_of.watch.expect("diagram.html|Content Security Policy|sandboxed|Unsafe attempt")
    me, page = await guarded(page_of, cast)
    await me.send(play("Draw", ("text", DIAGRAM)))
    await me.ended("completed")
    drawing = page.frame_locator("iframe[title=Diagram]")
    await expect(drawing.locator("svg")).to_contain_text("Start")
    frame = next(one for one in page.frames if one.url.endswith("/diagram.html"))
    reached = await frame.evaluate(
        """async () => {
          const tries = {
            document: () => window.parent.document.title,
            cookie: () => document.cookie,
            storage: () => window.localStorage.length,
            top: () => { window.top.location = "/inbox"; return "moved"; },
            opened: () => window.open("/inbox") === null ? Promise.reject() : "opened",
            fetched: () => fetch("/readyz").then(() => "fetched"),
            elsewhere: () => fetch("http://127.0.0.1:9/").then(() => "fetched"),
            socket: () => new Promise((done, failed) => {
              const socket = new WebSocket(location.href.replace(/^http/, "ws").replace("diagram.html", "ws"));
              socket.onopen = () => done("open"); socket.onerror = failed;
            }),
            evaluated: () => new Function("return 1")(),
          };
          const reached = [];
          for (const [name, run] of Object.entries(tries)) {
            try { await run(); reached.push(name); } catch {}
          }
          return [window.origin, ...reached];
        }"""
    )
    assert reached == ["null"]
    assert page.url.split("/")[-2] == "c"
    # What it says is taken for what it is: a height, within bounds.
    await frame.evaluate(
        "() => parent.postMessage({ holdfast: 'diagram-drawn', width: 1, height: 1e9 }, '*')"
    )
    await expect(page.locator("iframe[title=Diagram]")).to_have_attribute("height", "2000")
    await unharmed(page)


@pytest.mark.parametrize("source", HOSTILE_DIAGRAMS, ids=["flow", "sequence", "class"])
async def test_a_hostile_diagram_runs_nothing(page_of: Visitors, cast: Server, source: str) -> None:
    """A diagram with code in its labels, links and settings is drawn without it, or shown as its source."""
    page_of.watch.expect(TRIED_IN_THE_FRAME)
    me, page = await guarded(page_of, cast)
    await me.send(play("Draw", ("text", source)))
    await me.ended("completed")
    await page.wait_for_function(
        """() => document.querySelector("iframe[title=Diagram]")?.getAttribute("height") !== "160" """
    )
    frame = next((one for one in page.frames if one.url.endswith("/diagram.html")), None)
    if frame is not None:
        await expect(page.frame_locator("iframe[title=Diagram]").locator("svg").first).to_be_attached()
        for one in await frame.locator("svg a, svg .clickable").all():
            await one.dispatch_event("click")
        assert (
            await frame.evaluate(
                "() => [...document.querySelectorAll('[href],[*|href]')].filter((a) => /script:/i.test(a.getAttribute('href') ?? a.getAttribute('xlink:href') ?? '')).length"
            )
            == 0
        )
    await unharmed(page)


async def test_what_is_foreign_is_seen(page_of: Visitors, cast: Server) -> None:
    """The tests would notice: an address that runs, a picture, a form and a link to elsewhere, though they stand there for a moment only."""
    page_of.watch.expect("Content Security Policy|elsewhere")
    _, page = await guarded(page_of, cast)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await unharmed(page)
    await page.evaluate(
        """() => {
          for (const [name, attribute, value] of [
            ["a", "href", "javascript:alert(1)"], ["img", "src", "//elsewhere.example/x.png"],
            ["form", "action", "//elsewhere.example/"], ["a", "href", "//elsewhere.example/"],
          ]) {
            const one = document.createElement(name);
            one.setAttribute(attribute, value);
            document.body.append(one);
            setTimeout(() => one.remove());
          }
        }"""
    )
    await page.wait_for_function("() => window.suspicious.length >= 4")
    with pytest.raises(AssertionError):
        await unharmed(page)

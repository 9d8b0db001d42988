"""The AI SDK's useChat over the AI SDK's own transports, in a real browser, from an origin of its own: nothing of ours in the page.

The three latest major versions of it; before 7 there is HTTP alone.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.browser import Visitors
from tests.support.front_end import CHAT, Opener, Site, elsewhere
from tests.support.serving import ROOT, Server, openai_toml
from tests.support.upstream import Script, Upstream, expected_reasoning, expected_text, scripted
from tests.support.web_package import WEB, leave_out, run

SOURCES = ROOT / "tests" / "browser" / "use_chat_native"
HELD = Script(deltas=60, delta_chars=7, hold=20, seed=3)
RESEEDED = Script(deltas=60, delta_chars=7, hold=20, seed=5, reseed=True)
PACKAGES = {
    5: {"ai": "ai5", "@ai-sdk/react": "react5"},
    6: {"ai": "ai6", "@ai-sdk/react": "react6"},
    7: {"ai": "ai", "@ai-sdk/react": "@ai-sdk/react"},
}
"""Under which names the versions of the AI SDK stand in web/node_modules."""
BESIDE = ("react", "react-dom", "scheduler", "@types", "vite")
NEWEST = 7
BOTH = pytest.mark.parametrize("over", ["sse", "ws"])
EVERY = pytest.mark.parametrize(("major", "over"), [(7, "sse"), (7, "ws"), (6, "sse"), (5, "sse")])


@pytest.fixture(scope="session")
def page_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The front end with a major version of the AI SDK, built once with what stands in web/node_modules."""
    if not (WEB / "node_modules" / "vite").is_dir():
        leave_out("the packages of web/ are not installed (make test installs them)")
    return cache(lambda major: built(tmp_path_factory.mktemp(f"use-chat-{major}") / "front-end", major))


def built(project: Path, major: int) -> Path:
    """Builds the front end in a new folder, where the packages have the names that a page imports them by."""
    shutil.copytree(SOURCES, project)
    if major < NEWEST:
        (project / "older.tsx").replace(project / "main.tsx")
    for name, stands_as in ({each: each for each in BESIDE} | PACKAGES[major]).items():
        link = project / "node_modules" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(WEB / "node_modules" / stands_as)
    run(project, "tsc", "-p", ".")
    run(project, "vite", "build", "--logLevel", "error")
    return project / "dist"


@pytest.fixture
def major() -> int:
    """The AI SDK's major version, where a test does not say another."""
    return NEWEST


@pytest_asyncio.fixture(loop_scope="session")
async def site(page_with: Callable[[int], Path], major: int) -> AsyncIterator[Site]:
    """The front end on an origin that is not the server's."""
    async with elsewhere(page_with(major)) as place:
        yield place


@pytest_asyncio.fixture(loop_scope="session")
async def server(tmp_path: Path, upstream: Upstream, site: Site) -> AsyncIterator[Server]:
    """A server that lets the front end's origin in, with the scripted model and the demo agent."""
    extra = f'[server]\nallowed_origins = ["{site.origin}"]\n[agents.demo]\nkind = "demo"\npace = 2000'
    async with Server(tmp_path / "server", toml=openai_toml(upstream.base_url, extra=extra)) as process:
        yield process


@pytest.fixture
def open_(page_of: Visitors, site: Site, server: Server) -> Opener:
    """Opens the front end."""
    return Opener(page_of, site, server)


@EVERY
async def test_what_usechat_shows_is_what_the_model_said(open_: Opener, over: str) -> None:
    """A question streams to its end: text and reasoning are the model's, and a reload shows the same."""
    front = await open_(f"chat={CHAT}&over={over}")
    script = Script(deltas=40, reasoning_deltas=5, seed=1)
    await front.ask(scripted("Hello", script))
    await front.done()
    assert (await front.texts())[1] == [expected_text(script)]
    assert (await front.texts(kind="reasoning"))[1] == [expected_reasoning(script)]
    shown = await front.texts()
    await front.page.reload()
    await front.done()
    assert await front.texts() == shown


@EVERY
async def test_a_reload_in_mid_answer_resumes(open_: Opener, upstream: Upstream, over: str) -> None:
    """The reloaded page has the question, finds the answer that runs, and shows every byte of it, each once."""
    front = await open_(f"chat={CHAT}&over={over}")
    question = scripted("Hold", HELD)
    await front.ask(question)
    await front.some(100)
    await front.page.reload()
    await front.some(100)
    assert (await front.texts())[0] == [question]
    # Once more: the stream before is left, the request is not ended. Nothing else comes while the model is held.
    await front.act("((window.before = chat.messages.at(-1)), void chat.resumeStream())")
    await front.until("chat.status === 'streaming' && chat.messages.at(-1) !== window.before")
    await front.some(100)
    upstream.release()
    await front.done()
    assert (await front.texts())[1:] == [[expected_text(HELD)]]
    assert await front.act("chat.messages.at(-1).metadata.status") == "completed"


@BOTH
async def test_a_server_killed_in_mid_answer_is_come_back_to(
    open_: Opener, upstream: Upstream, over: str
) -> None:
    """SIGKILL is a lost connection to useChat; resumed after the restart it has the text of the attempt that stands, alone."""
    open_.page_of.watch.expect(
        "ERR_INCOMPLETE_CHUNKED_ENCODING"
    )  # the browser's word for a stream that broke off
    front = await open_(f"chat={CHAT}&over={over}")
    await front.ask(scripted("Hold", RESEEDED))
    await front.some(100)
    await open_.server.kill()
    await front.until("chat.status === 'error'")
    await open_.server.start()
    await front.act("void chat.resumeStream()")
    await front.until("chat.status === 'streaming'")
    upstream.release()
    await front.done()
    texts = await front.texts()
    assert texts[1:] == [[expected_text(RESEEDED, 2)]]
    assert await front.act("chat.messages.at(-1).metadata.attempt") == 2


@pytest.mark.parametrize(
    ("major", "recovery", "query"),
    [
        (5, "reload", ""),
        (6, "reload", ""),
        (5, "window.load()", ""),
        (6, "window.load()", ""),
        (6, "chat.resumeStream()", "&own=true"),
    ],
)
async def test_a_page_before_7_is_whole_again_after_a_kill(
    open_: Opener, upstream: Upstream, recovery: str, query: str
) -> None:
    """The broken answer is an error; loaded anew, or in 6 resumed in a Chat of the page's own, it is the attempt that stands."""
    open_.page_of.watch.expect("ERR_INCOMPLETE_CHUNKED_ENCODING")
    front = await open_(f"chat={CHAT}{query}")
    await front.ask(scripted("Hold", RESEEDED))
    await front.some(100)
    await open_.server.kill()
    await front.until("chat.status === 'error'")
    await open_.server.start()
    # A reader before 7 who is there when an attempt is dropped gets an error and has to come once more.
    await upstream.log.level.until(lambda: len(upstream.log.calls) == 2)
    if recovery == "reload":
        await front.page.reload()
    else:
        await front.act(f"void {recovery}")
    await front.until("chat.status === 'streaming' && chat.messages.at(-1).metadata.attempt === 2")
    await front.some(100)
    upstream.release()
    await front.done()
    assert (await front.texts())[1:] == [[expected_text(RESEEDED, 2)]]
    assert await front.act("chat.messages.at(-1).metadata.status") == "completed"
    shown = await front.texts()
    await front.page.reload()
    await front.done()
    assert await front.texts() == shown


async def test_stop_over_the_socket_ends_the_request(open_: Opener, upstream: Upstream) -> None:
    """stop() is `abort`, which cancels, after a reload too; the next question goes under the stopped answer."""
    front = await open_(f"chat={CHAT}&over=ws")
    await front.ask(scripted("First", HELD))
    await front.some(100)
    await front.act("chat.stop()")
    await upstream.log.level.until(lambda: upstream.log.calls[0].outcome == "disconnected")
    await front.ask(scripted("Second", HELD))
    await front.until("chat.messages.length === 4")
    await front.some(100)
    await front.page.reload()
    await front.some(100)
    await front.act("chat.stop()")
    await upstream.log.level.until(lambda: upstream.log.calls[1].outcome == "disconnected")
    await front.page.reload()
    await front.until("chat.messages.length === 4")
    statuses = await front.act("chat.messages.map((m) => m.metadata?.status ?? 'asked')")
    assert statuses == ["asked", "cancelled", "asked", "cancelled"]


@pytest.mark.parametrize("query", ["over=sse", "over=ws&abort=detach"])
async def test_only_reading_ends_where_stop_means_that(open_: Opener, upstream: Upstream, query: str) -> None:
    """Over HTTP stop() hangs up, over the socket with `?abort=detach` too: the answer is whole after the next load."""
    front = await open_(f"chat={CHAT}&{query}")
    await front.ask(scripted("Hold", HELD))
    await front.some(100)
    await front.act("chat.stop()")
    await front.until("chat.status === 'ready'")
    upstream.release()
    await upstream.log.level.until(lambda: upstream.log.calls[0].outcome == "completed")
    await front.page.reload()
    await front.done()
    assert (await front.texts())[1] == [expected_text(HELD)]


@pytest.mark.parametrize("major", PACKAGES)
async def test_stop_over_http_is_a_call_of_its_own(open_: Opener, upstream: Upstream) -> None:
    """POST /api/chat/{id}/stop ends the request, and the stream that is being read ends as stopped."""
    front = await open_(f"chat={CHAT}&over=sse")
    await front.ask(scripted("Hold", HELD))
    await front.some(100)
    await front.act("fetch(`${window.api}/${id}/stop`, { method: 'POST' }).then((r) => r.json())")
    await front.done()
    assert await front.act("chat.messages.at(-1).metadata.status") == "cancelled"
    await upstream.log.level.until(lambda: upstream.log.calls[0].outcome == "disconnected")


@BOTH
async def test_regenerate_and_edit_make_branches(open_: Opener, over: str) -> None:
    """A new answer and an edited question stand beside the old ones; what is shown is what a reload brings."""
    front = await open_(f"chat={CHAT}&over={over}")
    one, two, three = (Script(deltas=4, seed=seed) for seed in (11, 12, 13))
    for script in (one, two):
        await front.ask(scripted("Ask", script))
        await front.done()
    first = await front.act("chat.messages.at(-1).id")
    await front.act("chat.regenerate()")
    await front.done()
    assert await front.act("chat.messages.at(-1).id") != first
    assert (await front.texts())[3] == [expected_text(two)]
    edited = scripted("Edited", three)
    for _ in range(2):
        await front.act("chat.sendMessage({ text: given.text, messageId: chat.messages[2].id })", text=edited)
        await front.done()
    await front.act("chat.regenerate()")
    await front.done()
    await front.ask(scripted("More", one))
    await front.done()
    shown = await front.texts()
    assert shown[2:4] == [[edited], [expected_text(three)]]
    assert len(shown) == 6
    await front.page.reload()
    await front.done()
    assert await front.texts() == shown


async def test_chats_side_by_side_on_one_socket(open_: Opener, upstream: Upstream) -> None:
    """Two useChat components over one transport stream at once, each its own, and a failure of one is not the other's."""
    front = await open_("chat=c-a&chat=c-b&over=ws")
    scripts = {"c-a": HELD, "c-b": Script(deltas=50, hold=10, seed=8)}
    for chat, script in scripts.items():
        await front.ask(scripted(chat, script), chat)
    for chat in scripts:
        await front.some(60, chat)
    upstream.release()
    for chat, script in scripts.items():
        await front.done(chat)
        assert (await front.texts(chat))[1:] == [[expected_text(script)]]
    await front.ask("", "c-a")
    await front.until("chat.status === 'error'", "c-a")
    assert "empty" in await front.act("chat.error.message", "c-a")
    await front.ask(scripted("On", scripts["c-b"]), "c-b")
    await front.until("chat.messages.length === 4", "c-b")
    await front.done("c-b")
    assert (await front.texts("c-b"))[3] == [expected_text(scripts["c-b"])]


@BOTH
async def test_a_failed_answer_is_an_error(open_: Opener, over: str) -> None:
    """What the server says of a failure is useChat's error; what was shown stays, and the chat goes on."""
    front = await open_(f"chat={CHAT}&agent=demo&over={over}")
    await front.ask("Please fail")
    await front.until("chat.status === 'error'")
    assert "asked to fail" in await front.act("chat.error.message")
    assert (await front.texts())[1][0]
    await front.ask("And now?")
    await front.done()
    assert await front.act("chat.messages.map((m) => m.metadata?.status ?? 'asked')") == [
        "asked", "failed", "asked", "completed",
    ]  # fmt: skip

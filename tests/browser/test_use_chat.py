"""Somebody else's front end: the AI SDK's useChat over the package's transport, in a real browser, from an origin of its own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.browser import Visitors
from tests.support.front_end import CHAT, Opener, Site, Wire, elsewhere
from tests.support.proxy import FaultProxy
from tests.support.serving import ROOT, Server, openai_toml
from tests.support.upstream import Script, Upstream, expected_reasoning, expected_text, scripted
from tests.support.web_package import build, new_project, run

SOURCES = ROOT / "tests" / "browser" / "use_chat"
HELD = Script(deltas=60, delta_chars=7, hold=20, seed=3)


@pytest.fixture(scope="session")
def front_end(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The front end, built against the packed package."""
    folder = tmp_path_factory.mktemp("use-chat")
    beside = ("ai", "@ai-sdk/react", "react", "react-dom", "@types/react", "@types/react-dom")
    project = new_project(folder / "front-end", build(folder), *beside)
    for path in SOURCES.iterdir():
        shutil.copy(path, project)
    run(project, "tsc", "-p", ".")
    run(project, "vite", "build", "--logLevel", "error")
    return project / "dist"


@pytest_asyncio.fixture(loop_scope="session")
async def site(front_end: Path) -> AsyncIterator[Site]:
    """The front end on an origin that is not the server's."""
    async with elsewhere(front_end) as place:
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


async def test_what_usechat_shows_is_what_the_model_said(open_: Opener) -> None:
    """A question streams to its end: the text is the model's in one part, the reasoning is apart, the status tells its course."""
    front = await open_()
    script = Script(deltas=40, reasoning_deltas=5, seed=1)
    await front.ask(scripted("Hello", script))
    await front.done()
    assert (await front.texts())[1] == [expected_text(script)]
    assert (await front.texts(kind="reasoning"))[1] == [expected_reasoning(script)]
    assert await front.act("chat.seen") == ["ready", "submitted", "streaming", "ready"]
    message = await front.act("chat.messages.at(-1)")
    assert message["metadata"]["requestId"] == message["id"]
    assert message["metadata"]["status"] == "completed"
    assert message["metadata"]["usage"]["output_tokens"] > 0


async def test_a_server_killed_in_mid_answer_is_not_noticed(open_: Opener, upstream: Upstream) -> None:
    """SIGKILL and a new start: useChat sees one stream, no error, and at its end the text of the attempt that stands, alone."""
    front = await open_()
    script = Script(deltas=60, delta_chars=7, hold=20, seed=5, reseed=True)
    await front.ask(scripted("Hold", script))
    await front.some(100)
    shown = (await front.texts())[1]
    assert expected_text(script, 1).startswith(shown[0])
    await open_.server.kill()
    await front.until("window.client.connection.get().phase !== 'online'")
    assert (await front.texts())[1] == shown
    assert await front.act("chat.status") == "streaming"
    upstream.release()
    await open_.server.start()
    await front.done()
    assert (await front.texts())[1] == [expected_text(script, 2)]
    assert await front.act("chat.seen") == ["ready", "submitted", "streaming", "ready"]
    assert await front.act("chat.messages.at(-1).metadata.attempt") == 2


async def test_a_lost_connection_goes_on_from_the_exact_cursor(open_: Opener, upstream: Upstream) -> None:
    """Cut in mid-answer, the next connection begins with the offset after the last that came: nothing twice, no snapshot."""
    async with FaultProxy("127.0.0.1", open_.server.port) as proxy:
        front = await open_("chat=other", port=proxy.port)
        wire = Wire(front.page)
        await front.page.goto(front.page.url.replace("chat=other", f"chat={CHAT}"))
        await front.until("true")
        await front.ask(scripted("Hold", HELD))
        await front.some(100)
        await proxy.cut("rst")
        await front.until("window.client.connection.get().phase !== 'online'")
        upstream.release()
        await front.done()
        assert (await front.texts())[1] == [expected_text(HELD)]
    assert len(wire.connections) >= 2
    everything = [span for number in range(len(wire.connections)) for span in wire.spans(number)]
    assert everything[0][0] == 0
    assert [start for start, _ in everything[1:]] == [end for _, end in everything[:-1]]
    assert wire.spans(len(wire.connections) - 1)[0][0] > 0
    assert sum(wire.snapshots(number) for number in range(len(wire.connections))) == 0


@pytest.mark.parametrize("more", ["", "&strict", "&kept"])
async def test_a_reload_in_mid_answer_resumes(open_: Opener, upstream: Upstream, more: str) -> None:
    """The reloaded page has the question from the history and the answer from its running request; every byte, each once."""
    front = await open_(f"chat={CHAT}{more}")
    question = scripted("Hold", HELD)
    await front.ask(question)
    await front.some(100)
    await front.page.reload()
    await front.some(100)
    assert (await front.texts())[0] == [question]
    await front.act(
        "void chat.resumeStream()"
    )  # resumed once more: the stream before is left, the request is not ended
    await front.some(100)
    upstream.release()
    await front.done()
    assert (await front.texts())[1:] == [[expected_text(HELD)]]
    assert await front.act("chat.messages.at(-1).metadata.status") == "completed"
    await front.page.reload()
    await front.done()
    assert await front.texts() == [[question], [expected_text(HELD)]]


async def test_stop_ends_the_request(open_: Opener, upstream: Upstream) -> None:
    """stop() cancels at the server, before a reload and after one; the next question goes under the stopped answer."""
    front = await open_()
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


async def test_detached_the_request_goes_on(open_: Opener, upstream: Upstream) -> None:
    """With `abort: "detach"` stop() only stops reading: the answer is whole after the next load."""
    front = await open_(f"chat={CHAT}&abort=detach")
    await front.ask(scripted("Hold", HELD))
    await front.some(100)
    await front.act("chat.stop()")
    await front.until("chat.status === 'ready'")
    upstream.release()
    await upstream.log.level.until(lambda: upstream.log.calls[0].outcome == "completed")
    await front.page.reload()
    await front.done()
    assert (await front.texts())[1] == [expected_text(HELD)]


async def test_a_chat_made_outside_outlives_its_component(open_: Opener, upstream: Upstream) -> None:
    """A Chat that is given to useChat streams on while nothing shows it."""
    front = await open_(f"chat={CHAT}&kept")
    await front.ask(scripted("Hold", HELD))
    await front.some(100)
    await front.page.evaluate("() => window.show(false)")
    upstream.release()
    await upstream.log.level.until(lambda: upstream.log.calls[0].outcome == "completed")
    await front.page.evaluate("() => window.show(true)")
    await front.done()
    assert (await front.texts())[1] == [expected_text(HELD)]


async def test_regenerate_and_edit_make_branches(open_: Opener) -> None:
    """A new answer and an edited question stand beside the old ones; what is shown is what a reload brings."""
    front = await open_()
    one, two, three = (Script(deltas=4, seed=seed) for seed in (11, 12, 13))
    for script in (one, two):
        await front.ask(scripted("Ask", script))
        await front.done()
    first = await front.act("chat.messages[1].id")
    await front.act("chat.regenerate()")
    await front.done()
    assert (await front.texts())[3] == [expected_text(two)]
    edited = scripted("Edited", three)
    await front.act("chat.sendMessage({ text: given.text, messageId: chat.messages[2].id })", text=edited)
    await front.done()
    shown = await front.texts()
    assert shown[2:] == [[edited], [expected_text(three)]]
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
    assert await front.act("chat.messages[1].id") == first
    # The first question too: it becomes another root.
    await front.act("chat.sendMessage({ text: given.text, messageId: chat.messages[0].id })", text=edited)
    await front.done()
    await front.page.reload()
    await front.done()
    assert await front.texts() == [[edited], [expected_text(three)]]


async def test_tool_calls_reach_usechat(open_: Opener) -> None:
    """A tool call of the agent's has its arguments and its result, and is marked as run elsewhere."""
    front = await open_(f"chat={CHAT}&agent=demo")
    await front.ask("Show me everything")
    await front.done()
    tool = await front.part("dynamic-tool")
    assert tool["state"] == "output-available"
    assert tool["providerExecuted"] is True
    assert tool["input"]
    assert tool["output"]
    assert (await front.part("reasoning"))["state"] == "done"
    shown = await front.act("chat.messages.at(-1).parts")
    await front.page.reload()
    await front.done()
    again = await front.act("chat.messages.at(-1).parts")
    assert [without_ids(part) for part in again] == [without_ids(part) for part in shown]


def without_ids(part: dict[str, Any]) -> dict[str, Any]:
    """A part without the id that the stream gave it."""
    return {key: value for key, value in part.items() if key != "id"}


async def test_chats_side_by_side(open_: Opener, upstream: Upstream) -> None:
    """Two useChat components over one client and one transport stream at once, each its own."""
    front = await open_("chat=c-a&chat=c-b")
    scripts = {"c-a": HELD, "c-b": Script(deltas=50, hold=10, seed=8)}
    for chat, script in scripts.items():
        await front.ask(scripted(chat, script), chat)
    for chat in scripts:
        await front.some(60, chat)
    upstream.release()
    for chat, script in scripts.items():
        await front.done(chat)
        assert (await front.texts(chat))[1:] == [[expected_text(script)]]


async def test_a_failed_answer_is_an_error(open_: Opener) -> None:
    """What the server says of a failure is useChat's error; what was shown stays, and the chat goes on."""
    front = await open_(f"chat={CHAT}&agent=demo")
    await front.ask("Please fail")
    await front.until("chat.status === 'error'")
    assert "asked to fail" in await front.act("chat.error.message")
    assert (await front.texts())[1][0]
    await front.ask("And now?")
    await front.done()
    assert await front.act("chat.status") == "ready"
    assert await front.act("chat.messages.map((m) => m.metadata?.status ?? 'asked')") == [
        "asked", "failed", "asked", "completed",
    ]  # fmt: skip


async def test_a_refused_question_can_be_asked_again(open_: Opener) -> None:
    """A question that the server refuses is an error and nowhere else; asked again, or another after it, it is answered."""
    front = await open_()
    await front.ask("")
    await front.until("chat.status === 'error'")
    script = Script(deltas=3, seed=2)
    await front.ask(scripted("Now", script))
    await front.until("chat.status === 'ready'")
    assert (await front.texts())[-1] == [expected_text(script)]
    assert await front.act("window.client.outbox.get().length") == 0


async def test_what_waits_is_decided_through_the_client(open_: Opener) -> None:
    """An approval is a `data-wait` part; `client.decide` answers it, also after a reload, and the stream goes on."""
    front = await open_(f"chat={CHAT}&agent=demo")
    await front.ask("Please approve this")
    waits = "chat.messages.at(-1)?.parts.find((part) => part.type === 'data-wait')"
    await front.until(f"{waits}?.data.state === 'open'")
    await front.page.reload()
    await front.until(f"{waits}?.data.state === 'open'")
    await front.act(
        f"window.client.decide(chat.messages.at(-1).id, {waits}.data.wait_id, {waits}.data.digest, true)"
    )
    await front.done()
    assert (await front.part("data-wait"))["data"]["state"] == "decided"
    assert await front.act("chat.messages.at(-1).metadata.status") == "completed"

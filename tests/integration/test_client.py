"""The client over real sockets, against a server whose every move is scripted."""

from __future__ import annotations

import asyncio

import pytest

from holdfast_client import (
    Answer,
    AnswerFailed,
    AnswerLost,
    CommandRefused,
    ConnectionLost,
    ConnectionRefused,
    NotAuthenticated,
    Superseded,
    connect,
)
from holdfast_client import backoff as backoff_module
from holdfast_protocol import commands as cmd
from holdfast_protocol import events as ev
from holdfast_protocol import replies as rep
from tests.support.fake_peer import TOKEN
from tests.support.fake_server import FakeServer, Writer


@pytest.fixture(autouse=True)
def quick_reconnects(monkeypatch: pytest.MonkeyPatch):
    """No test waits for a real back-off."""
    monkeypatch.setattr(backoff_module, "CAP_S", 0.01)
    monkeypatch.setattr(
        "holdfast_client.connection.Backoff",
        lambda dice: backoff_module.Backoff(dice, base_s=0.01, cap_s=0.01),
    )


async def poem(writer: Writer) -> None:
    """A few hundred frames, with a tool and an attempt that is taken back."""
    writer.start()
    await writer.say("first try " * 5)
    writer.put(ev.Checkpoint)
    await writer.say("never mind ")
    writer.start(keep=writer.journal.fold.checkpoints[-1][0], reason="retry")
    await writer.tool("clock", "{}", "noon")
    await writer.say("second try, naïve 漢字 🙂 " * 10, size=3)
    writer.end()


async def read(answer: Answer) -> str:
    """The text of somebody who keeps the rules."""
    text = ""
    async for piece in answer:
        text = text[: piece.kept_chars] if isinstance(piece, Superseded) else text + piece
    return text


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_an_answer_comes_whole(codec):
    """Submit, iterate, result and check agree, in both codecs."""
    async with FakeServer() as server, connect(server.url, codec=codec) as client:
        server.agents["demo"] = poem
        answer = await client.submit("go", chat_id="c1")
        text = await read(answer)
        transcript = await answer.check()
        assert text == transcript.text
        assert transcript == server.core.journals[answer.request_id].fold.transcript()
        assert (answer.status, answer.chat_id, answer.ended) == ("completed", "c1", True)
        assert [row.name for row in await client.agents()] == ["demo", "slow"]


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_connections_cut_after_every_number_of_frames(codec):
    """Each connection lives for one frame more than the last; the answer is the same, and ran once."""
    async with FakeServer() as server:
        server.agents["demo"] = poem
        server.cut_after = [*range(30)]
        async with asyncio.timeout(60):
            # The first connection is cut before the welcome; whoever enters may try again.
            with pytest.raises(ConnectionLost):
                async with connect(server.url, codec=codec):
                    pass
            server.cut_after = [*range(1, 30)]
            async with connect(server.url, codec=codec) as client:
                answer = await client.submit("go")
                text = await read(answer)
                assert text == (await answer.check()).text
                assert client.connection.reconnects >= 3
        assert len(server.core.journals) == 1


async def test_many_answers_over_one_connection_that_drops():
    """Twenty answers at once, the connection cut again and again: each ends with its own text."""
    async with FakeServer() as server, connect(server.url) as client:
        requests = [
            cmd.Submission(request_id=f"r{n}", messages=[cmd.InputMessage(role="user", text=f"n{n}")])
            for n in range(20)
        ]
        answers = await client.submit_many(requests)

        async def saw() -> None:
            for _ in range(8):
                await asyncio.sleep(0.01)
                server.drop()

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(saw())
            texts = [group.create_task(read(answer)) for answer in answers if isinstance(answer, Answer)]
        assert [text.result() for text in texts] == [f"You said: n{n}" for n in range(20)]
        assert client.session.followings == {}
        assert client._levels == {}


async def test_a_submit_made_while_offline_arrives():
    """The outbox keeps it until there is a connection again; the request runs once."""
    lost: list[str | None] = []
    async with FakeServer() as server, connect(server.url, on_connection=lost.append) as client:
        server.drop()
        server.http_status = 503
        asking = asyncio.get_running_loop().create_task(client.submit("late"))
        await server.handshaken(4)
        assert not asking.done()
        server.http_status = None
        async with asyncio.timeout(5):
            assert await read(await asking) == "You said: late"
        assert len(server.core.journals) == 1
        assert lost[0] is None
        assert lost[-1] is None
        assert any(reason and "503" in reason for reason in lost)


async def test_a_slow_reader_costs_nothing_and_misses_nothing():
    """Who begins to read when all has been said reads all of it, in few pieces; no queue was filled meanwhile."""
    async with FakeServer() as server, connect(server.url) as client:
        server.agents["demo"] = poem
        answer = await client.submit("go")
        transcript = await answer.result()
        pieces = [piece async for piece in answer]
        assert "".join(piece for piece in pieces if isinstance(piece, str)) == transcript.text
        assert len(pieces) <= 3


async def test_events_come_in_order_without_a_gap():
    """From any offset to the end: at hand or read from the log, the spans add up."""
    async with FakeServer() as server, connect(server.url) as client:
        server.agents["demo"] = poem
        answer = await client.submit("go")
        live = [event async for event in answer.events()]
        journal = server.core.journals[answer.request_id]
        assert sum(event.span for event in live) == journal.tail
        again = client.attach(answer.request_id)
        await again.result()
        assert [event async for event in again.events()] == journal.events
        assert [event async for event in again.events(start=20)] == journal.events[20:]


async def test_how_an_answer_ends_is_told():
    """`result` returns whatever the end is; `check` raises with the transcript and the code."""

    async def fails(writer: Writer) -> None:
        writer.start()
        await writer.say("so far")
        writer.end(ev.Failed, "upstream", message="The model is away.", retryable=True)

    async with FakeServer() as server, connect(server.url) as client:
        server.agents["demo"] = fails
        answer = await client.submit("go")
        assert (await answer.result()).status == "failed"
        with pytest.raises(AnswerFailed) as failed:
            await answer.check()
        assert (failed.value.code, failed.value.retryable, failed.value.transcript.text) == (
            "upstream",
            True,
            "so far",
        )
        assert "The model is away." in str(failed.value)


async def test_cancel_from_here_and_from_elsewhere():
    """One cancel wins, the next learns what stands; the answer ends as cancelled for its reader."""

    async def endless(writer: Writer) -> None:
        writer.start()
        await writer.say("forever ")
        await asyncio.get_running_loop().create_future()

    async with FakeServer() as server, connect(server.url) as client, connect(server.url) as other:
        server.agents["demo"] = endless
        answer = await client.submit("go")
        assert (await other.cancel(answer.request_id)).won
        assert (await answer.result()).status == "cancelled"
        again = await answer.cancel()
        assert (again.won, again.status) == (False, "cancelled")


async def test_a_decision_lets_it_go_on():
    """What waits is visible with its digest; the decision ends the wait."""

    async def asks(writer: Writer) -> None:
        writer.start()
        yes = await writer.ask({"tool": "rm"})
        await writer.say(f"decided: {yes}")
        writer.end()

    async with FakeServer() as server, connect(server.url) as client:
        server.agents["demo"] = asks
        answer = await client.submit("go")
        level = 0
        while answer.status != "waiting":
            level = await answer.changed(level)
        (wait,) = [part for part in answer.parts if part.kind == "wait" and part.open]
        await answer.decide(wait.fields["wait_id"], True, digest=wait.fields["digest"])
        assert (await answer.check()).text == "decided: True"


async def test_detach_and_attach():
    """Who detaches is told so when reading on; the request goes on and is attached to again (I5)."""
    gate = asyncio.Event()

    async def gated(writer: Writer) -> None:
        writer.start()
        await gate.wait()
        await writer.say("here")
        writer.end()

    async with FakeServer() as server, connect(server.url) as client:
        server.agents["demo"] = gated
        answer = await client.submit("go")
        reading = asyncio.get_running_loop().create_task(answer.result())
        await asyncio.sleep(0)
        answer.detach()
        with pytest.raises(AnswerLost) as lost:
            await reading
        assert lost.value.reason == "detached"
        gate.set()
        assert await read(client.attach(answer.request_id)) == "here"
        quiet = await client.submit("go", follow=False)
        with pytest.raises(AnswerLost):
            await quiet.result()
        with pytest.raises(AnswerLost, match="No such request"):
            await client.attach("nope").result()


async def test_refusals_carry_their_facts():
    """A refusal is an exception with code and advice; passing ones are tried again with the same id."""
    async with FakeServer() as server, connect(server.url) as client:
        with pytest.raises(CommandRefused) as refused:
            await client.submit("go", agent="nobody")
        assert (refused.value.code, refused.value.retryable) == ("unknown_agent", False)
        busy = rep.Error(code="too_many_requests", message="Wait.", retryable=True, retry_after_ms=5)
        server.core.refuse.append((cmd.Submit, busy))
        with pytest.raises(CommandRefused) as refused:
            await client.submit("go")
        assert (refused.value.retryable, refused.value.retry_after_ms) == (True, 5)
        again = rep.Error(code="unavailable", message="Again.", retryable=True, retry_after_ms=1)
        server.core.refuse += [(cmd.Submit, again), (cmd.Submit, again)]
        assert await read(await client.submit("go")) == "You said: go"
        ids = {c.request.request_id for c in server.core.commands if isinstance(c, cmd.Submit)}
        assert (len(ids), len(server.core.journals)) == (3, 1)


async def test_the_feed_shows_what_changes():
    """Rows come as they are, then as they change; each version once."""
    async with FakeServer() as server, connect(server.url) as client:
        await client.create_chat("c0", title="before")
        seen: list[object] = []

        async def watch() -> None:
            async for row in client.watch():
                seen.append(row)
                if getattr(row, "status", "") == "completed":
                    return

        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            await (await client.submit("go", chat_id="c1")).result()
            server.drop()
            await watching
        versions = [(row.request_id, row.version) for row in seen if isinstance(row, rep.RequestRow)]
        assert len(versions) == len(set(versions))
        assert {row.chat_id for row in seen if isinstance(row, rep.ChatRow)} >= {"c0"}


async def test_history_and_search():
    """The one-call verbs return what the server says."""
    async with FakeServer() as server, connect(server.url) as client:
        answer = await client.submit("find the needle", chat_id="c1")
        await answer.result()
        assert [row.chat_id for row in (await client.chats()).chats] == ["c1"]
        assert [row.role for row in (await client.messages("c1")).messages] == ["assistant", "user"]
        assert [hit.chat_id for hit in (await client.search("needle")).hits] == ["c1"]
        assert [row.state for row in await client.probe(answer.request_id, "x")] == ["ended", "unknown"]
        assert [row.status for row in (await client.requests()).requests] == ["completed"]
        await client.delete_chat("c1")
        with pytest.raises(CommandRefused, match="No such chat"):
            await client.messages("c1")


async def test_credentials():
    """The header lets in; without it, and with a wrong one, the refusal is of its own kind."""
    async with FakeServer(token=True) as server:
        async with connect(server.url, token=TOKEN) as client:
            assert client.welcome is not None
        for wrong in (None, "guess"):
            with pytest.raises(NotAuthenticated):
                async with connect(server.url, token=wrong):
                    pass
    for status, kind in ((401, NotAuthenticated), (403, ConnectionRefused), (404, ConnectionRefused)):
        async with FakeServer(http_status=status) as server:
            with pytest.raises(kind) as refused:
                async with connect(server.url):
                    pass
            assert refused.value.code == status


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (4401, NotAuthenticated),
        (4403, ConnectionRefused),
        (4400, ConnectionRefused),
        (1009, ConnectionRefused),
    ],
)
async def test_close_codes_that_are_final(code, kind):
    """Whoever waits is told, with the code; nobody connects again."""
    gate = asyncio.Event()

    async def gated(writer: Writer) -> None:
        await gate.wait()

    async with FakeServer() as server, connect(server.url) as client:
        server.agents["demo"] = gated
        answer = await client.submit("go")
        reading = asyncio.get_running_loop().create_task(answer.result())
        await asyncio.sleep(0)
        await server.close_all(code, "because")
        with pytest.raises(kind) as refused:
            await reading
        assert refused.value.code == code
        with pytest.raises(kind):
            await client.agents()
        assert server.handshakes == 1


@pytest.mark.parametrize("code", [1001, 1011, 1012, 1013, 4408, 4410, 4429, 3999])
async def test_close_codes_after_which_it_comes_back(code):
    """Restart, overload, slowness and what is not known: the client connects again and misses nothing."""
    async with FakeServer() as server, connect(server.url) as client:
        server.agents["demo"] = poem
        answer = await client.submit("go")
        await server.close_all(code)
        async with asyncio.timeout(5):
            assert await read(answer) == (await answer.check()).text
        assert server.handshakes == 2


@pytest.mark.slow
async def test_a_server_that_falls_silent_is_left():
    """No frame and no pong for two heartbeats: another connection, where the answer goes on."""
    async with FakeServer() as server:
        server.core.heartbeat_s = 0.01
        async with connect(server.url) as client:
            (socket,) = server._links
            socket.transport.pause_reading()
            async with asyncio.timeout(10):
                await server.handshaken(2)
                assert await read(await client.submit("hello")) == "You said: hello"


async def test_a_server_that_is_not_there():
    """The first failure to connect is told at once, in words; later ones only after the patience is used up."""
    with pytest.raises(ConnectionLost, match="nothing listens"):
        async with connect("ws://127.0.0.1:9/ws"):
            pass
    async with FakeServer() as server:
        client = connect(server.url, patience_s=0.05)
        await client.__aenter__()
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionLost, match="No connection to"):
            await client.agents()
    await client.close()


async def test_nothing_is_left_running():
    """After the end of `async with` no task of the client exists, in the middle of an answer too."""
    gate = asyncio.Event()

    async def gated(writer: Writer) -> None:
        await gate.wait()

    async with FakeServer() as server:
        server.agents["demo"] = gated
        async with connect(server.url) as client:
            await client.submit("go")
        names = [task.get_name() for task in asyncio.all_tasks()]
        assert not [name for name in names if name.startswith("holdfast-client")]
        with pytest.raises(ConnectionLost):
            await client.agents()

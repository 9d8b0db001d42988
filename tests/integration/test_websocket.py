"""The WebSocket door over real sockets: commands, streams, disconnects, slow readers, shutdown."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed

from holdfast_server.connection import DeliveryLimits
from holdfast_server.stores.base import Key
from tests.support.door import Client, Rig, serving

UNICODE = 'é漢𝔘\u2028\u2029"\\</p>\x00'


async def holds(condition: Callable[[], bool]) -> None:
    """Comes true, soon."""
    async with asyncio.timeout(8):
        while not condition():  # noqa: ASYNC110 - what is waited for is the server's, and has no event
            await asyncio.sleep(0.01)


async def closed(ws: Any) -> int:
    """The close code with which the server ends this."""
    async with asyncio.timeout(5):
        try:
            while True:
                await ws.recv()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd is not None else 1006


@pytest.mark.parametrize("codec", ["json", "msgpack"])
@pytest.mark.parametrize("start", [True, False], ids=["direct", "library"])
async def test_an_answer_arrives_whole(tmp_path: Path, codec: str, start: bool) -> None:
    """Submitted, streamed, caught up, ended: in both codecs, by both ways of sending, every character."""
    async with serving(Rig(tmp_path), start=start) as rig, rig.connect(codec=codec) as ws:
        client = Client(ws)
        welcome = await client.ask("hello")
        assert welcome["user"] == "acme/ann"
        assert welcome["limits"]["subscriptions"] == 500
        reply = await client.ask("submit", request={"request_id": "r", "chat_id": "c", "text": "Q"})
        assert reply["type"] == "submitted"
        assert "created" not in reply
        pen = await rig.pen("r")
        for _ in range(20):
            await pen.say(UNICODE)
        await pen.end()
        done = await client.until("caught_up", sealed=True)
        assert client.text("r") == UNICODE * 20
        assert (done["parts"], done["bytes"]) == (1, len(UNICODE.encode()) * 20)
        assert done["digest"] == pen.log.fold().digest().crc
        assert client.order.index("submitted") < client.order.index("page")
        again = await client.ask("submit", request={"request_id": "r", "chat_id": "c", "text": "Q"})
        assert again["created"] is False


async def test_every_command_has_its_one_reply(tmp_path: Path) -> None:
    """Each command of the protocol is answered with its ref and the kind of reply that it names."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws:
        client = Client(ws)
        wanted: list[tuple[str, dict[str, Any], str]] = [
            ("hello", {}, "welcome"),
            ("ping", {}, "pong"),
            ("create_chat", {"chat_id": "c", "title": "Boats"}, "chat"),
            ("submit", {"request": {"request_id": "r", "chat_id": "c", "text": "Q"}}, "submitted"),
            (
                "submit_many",
                {"requests": [{"request_id": "m", "text": "Q"}, {"agent": "x"}]},
                "submitted_many",
            ),
            ("subscribe", {"request_id": "r"}, "subscribed"),
            ("unsubscribe", {"request_id": "r"}, "done"),
            ("probe", {"request_ids": ["r", "zz"]}, "probed"),
            ("list_requests", {"active": True}, "requests"),
            ("read_events", {"request_id": "r"}, "log"),
            ("watch", {}, "watching"),
            ("unwatch", {}, "done"),
            ("list_chats", {}, "chats"),
            ("update_chat", {"chat_id": "c", "title": "Ships"}, "chat"),
            ("list_messages", {"chat_id": "c"}, "messages"),
            ("search", {"query": "ships"}, "found"),
            ("list_agents", {}, "agents"),
            ("decide", {"request_id": "r", "wait_id": "w"}, "error"),
            ("cancel", {"request_id": "r"}, "cancel_result"),
            ("delete_chat", {"chat_id": "c"}, "done"),
            ("restore_chat", {"chat_id": "c"}, "chat"),
            ("delete_message", {"chat_id": "c", "message_id": "zz"}, "error"),
        ]
        replies = {}
        for name, fields, kind in wanted:
            reply = await client.ask(name, **fields)
            assert (name, reply["type"], reply["ref"]) == (name, kind, client.ref), reply
            replies[name] = reply
        assert [row["state"] for row in replies["probe"]["requests"]] == ["accepted", "unknown"]
        assert [r["type"] for r in replies["submit_many"]["results"]] == ["submitted", "error"]
        assert replies["decide"]["code"] == "not_waiting"
        assert replies["delete_message"]["code"] == "unknown_message"
        assert [hit["title"] for hit in replies["search"]["hits"]] == ["Ships"]
        assert replies["read_events"]["events"][0]["type"] == "accepted"


async def test_the_feed_tells_other_connections(tmp_path: Path) -> None:
    """What one connection changes, another one of the same user that watches is told, and a stranger's is not."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as one, rig.connect() as two:
        actor, watcher = Client(one), Client(two)
        async with rig.connect(token="bob-token") as three:
            stranger = Client(three)
            for client in (watcher, stranger):
                assert (await client.ask("watch"))["reset"] == "start"
                assert (await client.until("feed"))["reset"] == "start"
            await actor.ask("create_chat", chat_id="c", title="Boats")
            push = await watcher.until("feed")
            assert push["events"][0]["chat"]["title"] == "Boats"
            assert (await watcher.ask("watch", cursor=push["next"])).get("reset") is None
            await stranger.ask("ping")
            assert [push["events"] for push in stranger.pushes] == [[]]


@pytest.mark.parametrize("cancels", [False, True])
async def test_a_disconnect_ends_nothing_but_its_subscriptions(tmp_path: Path, cancels: bool) -> None:
    """The connection that submitted is cut; the answer goes on, and another one resumes it byte for byte (I5)."""
    async with serving(Rig(tmp_path), cancels=cancels) as rig:
        ws = await rig.connect()
        client = Client(ws)
        await client.ask("submit", request={"request_id": "r", "chat_id": "c", "text": "Q"})
        pen = await rig.pen("r")
        await pen.say("one ")
        while client.text("r") != "one ":
            client.pushes.append(await client.next())
        cursor = [push["next"] for push in client.pushes if push["type"] == "page"][-1]
        ws.transport.abort()
        await pen.say("two ")
        async with rig.connect(codec="msgpack") as other:
            back = Client(other)
            assert "reset" not in await back.ask("subscribe", request_id="r", cursor=cursor)
            await pen.say("three")
            await pen.end()
            await back.until("caught_up", sealed=True)
            assert back.text("r") == "two three"
        await holds(lambda: rig.door.connections == 0)


async def test_two_owners_cannot_see_each_other(tmp_path: Path) -> None:
    """Every command with a stranger's id gets, byte for byte, what it gets with an id that is not there (I9)."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as one, rig.connect(token="bob-token") as two:
        ann, bob = Client(one), Client(two)
        await ann.ask(
            "submit", request={"request_id": "r-ann", "chat_id": "c-ann", "message_id": "m-ann", "text": "Q"}
        )
        await ann.ask("list_messages", chat_id="c-ann")
        await bob.ask("create_chat", chat_id="c-bob")
        commands: list[tuple[str, dict[str, Any]]] = [
            ("subscribe", {"request_id": "r-{}"}),
            ("subscribe", {"request_id": "r-{}", "cursor": "1-0.00000000"}),
            ("unsubscribe", {"request_id": "r-{}"}),
            ("cancel", {"request_id": "r-{}"}),
            ("decide", {"request_id": "r-{}", "wait_id": "w", "digest": "d", "decision": True}),
            ("probe", {"request_ids": ["r-{}"]}),
            ("list_requests", {"chat_id": "c-{}"}),
            ("read_events", {"request_id": "r-{}"}),
            ("list_messages", {"chat_id": "c-{}"}),
            ("update_chat", {"chat_id": "c-{}", "title": "mine"}),
            ("delete_chat", {"chat_id": "c-{}"}),
            ("restore_chat", {"chat_id": "c-{}"}),
            ("delete_message", {"chat_id": "c-{}", "message_id": "m-{}"}),
            ("delete_message", {"chat_id": "c-bob", "message_id": "m-{}"}),
            ("submit", {"request": {"chat_id": "c-bob", "parent_id": "m-{}", "text": "x"}}),
            ("submit", {"request": {"chat_id": "c-bob", "parent_id": "r-{}"}}),
            ("search", {"query": "Q{}"}),
        ]
        for name, fields in commands:
            answers = []
            for whose in ("ann", "xyz"):
                filled = json.loads(json.dumps(fields).replace("{}", whose))
                answer = json.dumps(await bob.ask(name, **filled)).replace(whose, "WHO")
                answers.append(answer.replace(f'"ref": {bob.ref}', '"ref": 0'))
            assert answers[0] == answers[1], name
        taken = await bob.ask("submit", request={"request_id": "r-ann", "text": "other"}, follow=False)
        assert taken["type"] == "submitted"
        assert "created" not in taken
        assert (await ann.ask("probe", request_ids=["r-ann"]))["requests"][0]["chat_id"] == "c-ann"


async def test_who_stops_reading_delays_nobody(tmp_path: Path) -> None:
    """Of a reader that stops, the server holds a bound of bytes; others have each delta at once; it is closed, freed."""
    limits = DeliveryLimits(no_progress_s=1.0, sweep_s=0.2, abort_grace_s=0.2)
    async with serving(Rig(tmp_path, limits=limits, no_progress_s=1.0)) as rig, rig.connect() as ws:
        client = Client(ws)
        await client.ask("submit", request={"request_id": "r", "text": "Q"})
        pen = await rig.pen("r")
        stuck = await _deaf(rig, {"type": "subscribe", "ref": 1, "request_id": "r"})
        await holds(lambda: len(rig.delivery._topics[pen.log].subscriptions) == 2)
        deaf = list(rig.door._sessions)[-1]
        peak = 0
        for _ in range(100):
            await pen.say("x" * 16_000)
            await client.until("page")
            peak = max(peak, deaf.buffered)
        assert 0 < peak <= limits.buffer_bytes + 300 * 1024
        await holds(lambda: rig.door.connections == 1)
        assert deaf._transport.get_write_buffer_size() == 0
        await pen.end()
        await client.until("caught_up", sealed=True)
        assert len(client.text("r")) == 1_600_000
        stuck.close()


async def test_a_peer_that_is_gone_is_let_go(tmp_path: Path) -> None:
    """Who answers no ping is dropped, and nothing of what was meant for it is kept, here or in the kernel."""
    limits = DeliveryLimits(no_progress_s=60)
    async with serving(Rig(tmp_path, limits=limits, heartbeat_s=0.6)) as rig, rig.connect() as ws:
        client = Client(ws)
        await client.ask("submit", request={"request_id": "r", "text": "Q"}, follow=False)
        pen = await rig.pen("r")
        gone = await _deaf(rig, {"type": "subscribe", "ref": 1, "request_id": "r"})
        await holds(lambda: len(rig.delivery._topics) == 1)
        session = list(rig.door._sessions)[-1]
        await pen.say(*["x" * 16_000] * 100)
        assert session.buffered > 0
        port = gone.getsockname()[1]
        await holds(lambda: rig.door.connections == 1)
        await holds(lambda: session.buffered == 0 and not _kernel_keeps(port))
        gone.close()


def _kernel_keeps(port: int) -> bool:
    """Whether this machine's kernel holds unsent bytes for the peer at that port."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        return False
    rows = [line.split() for line in table.read_text("ascii").splitlines()[1:]]
    return any(int(row[2].split(":")[1], 16) == port and int(row[4].split(":")[0], 16) > 0 for row in rows)


async def _deaf(rig: Rig, command: dict[str, Any]) -> socket.socket:
    """A connection that sends one command and never reads."""
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await loop.sock_connect(sock, ("127.0.0.1", rig.port))
    lines = [
        "GET /ws HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Authorization: Bearer ann-token", "", "",
    ]  # fmt: skip
    body = json.dumps(command).encode()
    frame = bytes((0x81, 0x80 | len(body), 0, 0, 0, 0)) + body
    await loop.sock_sendall(sock, "\r\n".join(lines).encode() + frame)
    return sock


async def test_many_commands_at_once_are_answered_in_order(tmp_path: Path) -> None:
    """Commands sent without waiting are answered one by one, in their order."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws:
        for ref in range(100):
            await ws.send(json.dumps({"type": "ping", "ref": ref}))
        refs = [json.loads(await ws.recv())["ref"] for _ in range(100)]
        assert refs == list(range(100))


async def test_too_many_commands(tmp_path: Path) -> None:
    """Above the rate commands are refused with a time to wait; who goes on is closed with 4429."""
    async with serving(Rig(tmp_path, commands_per_s=0.001, commands_burst=5)) as rig, rig.connect() as ws:
        client = Client(ws)
        replies = [await client.ask("ping") for _ in range(8)]
        assert [reply["type"] for reply in replies] == ["pong"] * 5 + ["error"] * 3
        assert replies[-1]["code"] == "rate_limited"
        assert replies[-1]["retryable"] is True
        assert replies[-1]["retry_after_ms"] > 0
        for ref in range(250):
            await ws.send(json.dumps({"type": "ping", "ref": ref}))
        assert await closed(ws) == 4429


async def test_shutdown_closes_everybody_with_1012(tmp_path: Path) -> None:
    """Readers are told that the server drains, then closed with 1012, those who do not read too, and in bounded time."""
    rig = Rig(tmp_path)
    async with serving(rig):
        clients = [Client(await rig.connect()) for _ in range(5)]
        for client in clients:
            await client.ask("ping")
        deaf = await _deaf(rig, {"type": "ping", "ref": 1})
        rig.door.announce_draining()
        for client in clients:
            assert (await client.until("notice"))["kind"] == "draining"
            assert (await client.ask("hello"))["draining"] is True
        loop = asyncio.get_running_loop()
        began = loop.time()
        _, *codes = await asyncio.gather(rig.door.close(0.2), *(closed(client.ws) for client in clients))
        assert codes == [1012] * 5
        assert loop.time() - began < 4
        assert rig.door.connections == 0
        deaf.close()


async def test_a_bug_is_a_number_in_the_log(tmp_path: Path) -> None:
    """What nobody foresaw is one `internal` error with an incident's number, no trace of the code, and a live socket."""
    rig = Rig(tmp_path)

    async def broken(*_: Any) -> Any:
        raise ZeroDivisionError("secret detail")

    rig.requests.probe = broken  # type: ignore[assignment,method-assign]
    async with serving(rig), rig.connect() as ws:
        client = Client(ws)
        reply = await client.ask("probe", request_ids=["r"])
        assert reply["code"] == "internal"
        assert "Incident" in reply["message"]
        assert "secret" not in json.dumps(reply)
        assert "Zero" not in json.dumps(reply)
        assert (await client.ask("ping"))["type"] == "pong"


async def test_an_unknown_or_bad_cursor(tmp_path: Path) -> None:
    """A cursor of another log begins anew and says so; what is no cursor is refused."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws:
        client = Client(ws)
        await client.ask("submit", request={"request_id": "r", "text": "Q"}, follow=False)
        assert (await client.ask("subscribe", request_id="r", cursor="1-0.deadbeef"))[
            "reset"
        ] == "unknown_epoch"
        assert (await client.until("snapshot"))["reason"] == "unknown_epoch"
        assert (await client.ask("subscribe", request_id="r", cursor="nonsense"))["code"] == "invalid"


async def test_aiohttps_client_is_served_too(tmp_path: Path) -> None:
    """Another implementation of the client reads the same, among pings of the server and its own."""
    async with (
        serving(Rig(tmp_path, heartbeat_s=0.2)) as rig,
        aiohttp.ClientSession() as session,
        session.ws_connect(rig.url, headers={"Authorization": "Bearer ann-token"}, heartbeat=0.2) as ws,
    ):
        await ws.send_json({"type": "submit", "ref": 1, "request": {"request_id": "r", "text": "Q"}})

        async def write() -> None:
            pen = await rig.pen("r")
            for _ in range(20):
                await pen.say(UNICODE)
                await asyncio.sleep(0.03)
            await pen.end()

        async def read() -> str:
            text = ""
            async for message in ws:
                push = json.loads(message.data)
                text += "".join(event.get("text", "") for event in push.get("events", ()))
                if push.get("sealed"):
                    break
            return text

        _, text = await asyncio.gather(write(), read())
        assert text == UNICODE * 20
        assert rig.store.live(Key("acme", "ann", "r")) is not None

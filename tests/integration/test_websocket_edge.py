"""The WebSocket door's edge: who may connect, what bad frames get, how many may come."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import msgpack  # type: ignore[import-untyped]
import pytest
from websockets.exceptions import InvalidStatus

from holdfast_protocol.errors import CLOSE_CODES
from tests.integration.test_websocket import closed, holds
from tests.support.door import Client, Rig, serving

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


async def status(rig: Rig, method: str = "GET", body: bytes = b"", headers: Any = ()) -> int:
    """The HTTP status of a handshake by hand; a header that is None is left out."""
    sent = {name: value for name, value in {**UPGRADE, **dict(headers)}.items() if value is not None}
    lines = [
        f"{method} /ws HTTP/1.1",
        f"Host: 127.0.0.1:{rig.port}",
        *(f"{n}: {v}" for n, v in sent.items()),
        "",
        "",
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write("\r\n".join(lines).encode() + body)
    async with asyncio.timeout(5):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


async def test_who_is_upgraded(tmp_path: Path) -> None:
    """Only GET, only version 13, only a whole handshake, only without a body, only with one token."""
    async with serving(Rig(tmp_path)) as rig:
        assert await status(rig) == 101
        assert await status(rig, "POST") == 405
        assert await status(rig, "HEAD") == 405
        for version in ("8", "7", "14", "", None):
            assert await status(rig, headers={"Sec-WebSocket-Version": version}) == 426
        assert await status(rig, headers={"Upgrade": None, "Connection": None}) == 426
        assert await status(rig, headers={"Connection": "keep-alive"}) == 400
        assert await status(rig, headers={"Sec-WebSocket-Key": "short"}) == 400
        assert await status(rig, headers={"Content-Length": "5"}, body=b"hello") == 400
        assert await status(rig, headers={"Transfer-Encoding": "chunked"}, body=b"0\r\n\r\n") == 400
        assert await status(rig, headers={"Content-Length": "0"}) == 101
        twice = "Bearer ann-token\r\nAuthorization: Bearer bob-token"
        assert await status(rig, headers={"Authorization": twice}) == 400
        await holds(lambda: rig.door.connections == 0)


@pytest.mark.parametrize(
    ("origin", "let_in"),
    [
        (None, True),
        ("http://127.0.0.1:{port}", True),
        ("HTTP://127.0.0.1:{port}", True),
        ("http://127.0.0.1", False),
        ("http://127.0.0.1:1", False),
        ("null", False),
        ("https://app.example", True),
        ("https://app.example:443", True),
        ("https://APP.example", True),
        ("http://app.example", False),
        ("https://app.example:8443", False),
        ("https://app.example.evil", False),
        ("https://evil.app.example", False),
        ("https://app.example@evil.example", False),
        ("https://app.example/path", False),
        ("file://", False),
        ("garbage", False),
    ],
)
async def test_origins(tmp_path: Path, origin: str | None, let_in: bool) -> None:
    """A page is let in from this server's own origin and from listed ones, exactly; others see 4403, programs 403."""
    async with serving(Rig(tmp_path, allowed_origins=("https://app.example",), tokens=True)) as rig:
        sent = None if origin is None else origin.replace("{port}", str(rig.port))
        if let_in:
            async with rig.connect(origin=sent) as ws:
                assert (await Client(ws).ask("ping"))["type"] == "pong"
            return
        with pytest.raises(InvalidStatus) as caught:
            await rig.connect(origin=sent)
        assert caught.value.response.status_code == 403
        async with rig.connect(origin=sent, token=None) as ws:
            assert await closed(ws) == 4403


async def test_a_page_whose_name_points_here_is_not_ours(tmp_path: Path) -> None:
    """Without tokens, an origin counts as the server's own only under a name of this machine, whatever Host says."""
    async with serving(Rig(tmp_path, tokens=False)) as rig:
        headers = {"Origin": f"http://evil.example:{rig.port}", "Host": f"evil.example:{rig.port}"}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://127.0.0.1:{rig.port}/ws", headers=headers) as ws,
        ):
            await ws.receive(timeout=5)
            assert ws.close_code == 4403
        async with rig.connect(token=None, origin=f"http://127.0.0.1:{rig.port}") as own:
            assert (await Client(own).ask("hello"))["user"] == "local"


async def test_subprotocols(tmp_path: Path) -> None:
    """None offered is JSON; the first known one is taken; none known is closed with 4406, after an accept that a browser
    takes."""
    async with serving(Rig(tmp_path)) as rig, aiohttp.ClientSession() as session:
        async with rig.connect(codec=None) as ws:
            assert ws.subprotocol is None
            assert (await Client(ws).ask("ping"))["type"] == "pong"
        async with rig.connect(codec="msgpack") as ws:
            assert ws.subprotocol == "holdfast.v1.msgpack"
        headers = {"Authorization": "Bearer ann-token"}
        async with session.ws_connect(rig.url, protocols=["x", "holdfast.v1.json"], headers=headers) as some:
            assert some.protocol == "holdfast.v1.json"
        async with session.ws_connect(rig.url, protocols=["graphql", "y"], headers=headers) as none:
            assert none.protocol == "graphql"
            await none.receive(timeout=5)
            assert none.close_code == 4406


async def test_who_is_there(tmp_path: Path) -> None:
    """A bearer token or hello as the first frame; anything else is closed with the code that says why."""
    async with serving(Rig(tmp_path, hello_deadline_s=0.3)) as rig:
        async with rig.connect(token="wrong") as ws:
            assert await closed(ws) == 4401
        async with rig.connect(token=None) as ws:
            assert await closed(ws) == 4408
        for frame, code in [
            ({"type": "hello", "ref": 1, "token": "wrong"}, 4401),
            ({"type": "hello", "ref": 1}, 4401),
            ({"type": "ping", "ref": 1}, 4401),
            ({"type": "hello", "ref": 1, "client": "x" * 5000, "token": "ann-token"}, 1009),
        ]:
            async with rig.connect(token=None) as ws:
                await ws.send(json.dumps(frame))
                assert await closed(ws) == code, frame
        async with rig.connect(token=None) as ws:
            await ws.send("not json")
            assert await closed(ws) == 4401
        async with rig.connect(token=None) as ws:
            client = Client(ws)
            assert (await client.ask("hello", token="bob-token"))["user"] == "acme/bob"
            assert (await client.ask("hello", token="bob-token"))["user"] == "acme/bob"
            await client.send({"type": "hello", "ref": 9, "token": "ann-token"})
            assert await closed(ws) == 4401
        async with rig.connect(token=None, ping_interval=0.05) as ws:  # pings are no hello
            assert await closed(ws) == 4408


DEEP = 100_000

JSON_CORPUS: list[tuple[Any, str | int]] = [
    ("", "malformed"),
    ("{", "malformed"),
    ("null", "malformed"),
    ("[]", "malformed"),
    ('"x"', "malformed"),
    ("{}", "invalid"),
    ('{"type":"ping"}', "invalid"),
    ('{"type":"ping","ref":1,"x":2}', "invalid"),
    ('{"type":"ping","ref":-1}', "invalid"),
    ('{"type":"ping","ref":1.5}', "invalid"),
    ('{"type":"ping","ref":' + "9" * 5000 + "}", "malformed"),
    ('{"type":"ping","ref":NaN}', "malformed"),
    ('{"type":"nope","ref":1}', "unknown_command"),
    ('{"type":7,"ref":1}', "unknown_command"),
    ('{"type":"subscribe","ref":1,"request_id":"\\ud800"}', "malformed"),
    ('{"type":"subscribe","ref":1,"request_id":"a\\u0000b"}', "invalid"),
    ('{"type":"subscribe","ref":1,"request_id":"../x"}', "invalid"),
    ('{"type":"subscribe","ref":1,"request_id":"' + "x" * 65 + '"}', "invalid"),
    ("[" * DEEP, "any"),
    (
        '{"type":"decide","ref":1,"request_id":"r","wait_id":"w","decision":' + "[" * DEEP + "]" * DEEP + "}",
        "any",
    ),
    (
        '{"type":"decide","ref":1,"request_id":"r","wait_id":"w","decision":' + "[" * 40 + "]" * 40 + "}",
        "too_deep",
    ),
    ('{"type":"submit","ref":1,"request":{"text":"' + "x" * 600_000 + '"}}', "too_large"),
    ('{"type":"submit","ref":1,"request":{"text":"   ","chat_id":"c"}}', "invalid"),
    ('{"type":"submit","ref":1,"request":{"chat_id":"c","agent":"nobody","text":"x"}}', "unknown_agent"),
    (b"\x00\x01", 1003),
    (b'{"type":"ping","ref":1}', 1003),
    ("x" * (1024 * 1024 + 1), 1009),
]

MSGPACK_CORPUS: list[tuple[Any, str | int]] = [
    (b"", "malformed"),
    (b"\xc1", "malformed"),
    (b"\x81", "malformed"),
    (b"\xdf\xff\xff\xff\xff", "malformed"),
    (b"\xdd\xff\xff\xff\xff", "malformed"),
    (b"\xdb\xff\xff\xff\xffx", "malformed"),
    (b"\x91" * DEEP + b"\xc0", "any"),
    (msgpack.packb({"type": "ping", "ref": 1})[:-1], "malformed"),
    (msgpack.packb({"type": "ping", "ref": 1}) + b"\xc0", "malformed"),
    (msgpack.packb({"type": "ping", "ref": float("nan")}), "invalid"),
    (msgpack.packb({"type": "ping", "ref": 2**64 - 1}), "invalid"),
    (msgpack.packb({"type": "subscribe", "ref": 1, "request_id": b"r"}), "invalid"),
    (b"\x83\xa4type\xa9subscribe\xa3ref\x01\xaarequest_id\xa2\xff\xfe", "malformed"),
    (msgpack.packb([1, 2]), "malformed"),
    ('{"type":"ping","ref":1}', 1003),
    (b"\x00" * (1024 * 1024 + 1), 1009),
]


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_bad_frames(tmp_path: Path, codec: str) -> None:
    """Each gets exactly one error with a stable code and the connection lives, or its documented close code."""
    async with serving(Rig(tmp_path)) as rig:
        ws = await rig.connect(codec=codec)
        client = Client(ws)
        for frame, wanted in JSON_CORPUS if codec == "json" else MSGPACK_CORPUS:
            await ws.send(frame)
            if isinstance(wanted, int):
                assert await closed(ws) == wanted
                assert wanted in CLOSE_CODES
                ws = await rig.connect(codec=codec)
                client = Client(ws)
                continue
            reply = await client.next()
            assert reply["type"] == "error", frame[:80]
            assert wanted in ("any", reply["code"]), (frame[:80], reply)
            assert len(json.dumps(reply)) < 1000
            assert (await client.ask("ping"))["type"] == "pong"
            assert not client.pushes
        await ws.close()


async def test_a_size_that_is_only_declared(tmp_path: Path) -> None:
    """A frame that announces a terabyte is refused at its header."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws:
        ws.transport.write(b"\x81\xff" + (1 << 40).to_bytes(8, "big") + b"\x00" * 4)
        assert await closed(ws) == 1009


async def test_who_speaks_something_else(tmp_path: Path) -> None:
    """After twenty frames in a row that cannot be read the connection is closed with 4400; a good one begins anew."""
    async with serving(Rig(tmp_path)) as rig, rig.connect() as ws:
        client = Client(ws)
        for _ in range(3):
            for _ in range(19):
                await ws.send("?")
                assert (await client.next())["code"] == "malformed"
            assert (await client.ask("ping"))["type"] == "pong"
        for _ in range(20):
            await ws.send("?")
        assert await closed(ws) == 4400


async def test_connections_are_bounded(tmp_path: Path) -> None:
    """Per user, per address until hello, and in all: who is too many is told by the close code, and makes room later."""
    async with serving(
        Rig(tmp_path, user_connections_max=2, anonymous_connections_max=3, connections_max=4)
    ) as rig:
        mine = [await rig.connect() for _ in range(2)]
        for client in map(Client, mine):
            await client.ask("ping")
        assert await closed(await rig.connect()) == 4429
        silent = [await rig.connect(token=None) for _ in range(2)]
        assert await closed(await rig.connect(token="bob-token")) == 1013
        await mine[0].close()
        silent.append(await rig.connect(token=None))
        await holds(lambda: rig.door.connections == 4)
        await mine[1].close()
        await holds(lambda: rig.door.connections == 3)
        assert await closed(await rig.connect(token=None)) == 4429
        for ws in silent:
            await ws.close()
        await holds(lambda: rig.door.connections == 0)
        async with rig.connect() as ws:
            assert (await Client(ws).ask("ping"))["type"] == "pong"

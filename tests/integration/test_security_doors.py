"""What a stranger, another user, a foreign page or a reader that takes nothing can do to the HTTP doors: nothing."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from holdfast_server.app import Node
from holdfast_server.webhook_addresses import Reach, UrlRefused
from tests.integration.test_security import config
from tests.support.cast import cast_toml, play
from tests.support.http_door import HttpRig, http_serving
from tests.support.serving import Server

TOKENS = """
[doors]
dialects = true
[identity]
kind = "tokens"
[[identity.tokens]]
token = "ann-token"
user = "ann"
[[identity.tokens]]
token = "bob-token"
user = "bob"
"""


class Caller:
    """One user's calls to a server."""

    def __init__(self, server: Server, http: ClientSession, user: str | None) -> None:
        self._base = f"http://127.0.0.1:{server.port}"
        self._http = http
        self._headers = {} if user is None else {"Authorization": f"Bearer {user}-token"}

    async def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """The status, and the whole body as text."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {**self._headers, **(headers or {})}
        async with self._http.request(method, self._base + path, data=data, headers=sent) as response:
            return response.status, await response.text()


@asynccontextmanager
async def serving(folder: Path, toml: str = TOKENS) -> AsyncIterator[tuple[Server, ClientSession]]:
    """A real server with the agents that say what they are told."""
    async with Server(folder, toml=cast_toml(extra=toml)) as server, ClientSession() as http:
        yield server, http


# Paths with an id: {r} is a request that has ended, {w} one that waits for a decision, {c} a chat, {m} a question, {b} a batch.
STRANGERS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/requests/{r}", None),
    ("GET", "/v1/requests/{r}?wait=1", None),
    ("GET", "/v1/requests/{w}/events", None),
    ("GET", "/v1/requests/{r}/events?format=sse", None),
    ("GET", "/v1/requests/{r}/events?format=ndjson&cursor=0-0.00000000", None),
    ("POST", "/v1/requests/{w}/cancel", None),
    ("POST", "/v1/requests/{r}/cancel?owner=ann", None),
    ("POST", "/v1/requests/{w}/decide", {"wait_id": "w", "digest": "d", "decision": True}),
    ("GET", "/v1/requests/{r}/inspect", None),
    ("GET", "/v1/requests/{r}/inspect?owner=ann", None),
    ("GET", "/v1/requests/{r}/log", None),
    ("GET", "/v1/requests/{r}/log?owner=ann", None),
    ("GET", "/v1/requests/{r}/webhooks", None),
    ("POST", "/v1/requests/{r}/webhooks/redeliver", None),
    ("GET", "/v1/requests?everyone=true", None),
    ("GET", "/v1/requests?chat_id={c}", None),
    ("GET", "/v1/chats/{c}", None),
    ("PATCH", "/v1/chats/{c}", {"title": "mine"}),
    ("POST", "/v1/chats/{c}/restore", None),
    ("GET", "/v1/chats/{c}/messages", None),
    ("DELETE", "/v1/chats/{c}/messages/{m}", None),
    ("DELETE", "/v1/chats/{c}", None),
    ("GET", "/v1/search?q={c}", None),
    ("GET", "/v1/batches/{b}", None),
    ("GET", "/v1/batches/{b}/results", None),
    ("POST", "/v1/batches/{b}/cancel", None),
    ("DELETE", "/v1/batches/{b}", None),
    ("GET", "/v1/responses/resp_{r}", None),
    ("GET", "/v1/responses/resp_{r}?stream=true&starting_after=1", None),
    ("GET", "/v1/responses/resp_{r}/input_items", None),
    ("POST", "/v1/responses/resp_{w}/cancel", None),
    ("DELETE", "/v1/responses/resp_{r}", None),
    ("POST", "/v1/responses", {"input": "x", "previous_response_id": "resp_{r}"}),
    ("POST", "/v1/responses", {"input": "x", "conversation": "conv_{c}"}),
    ("GET", "/v1/chat/completions/chatcmpl-{r}", None),
    ("GET", "/v1/chat/completions/chatcmpl-{w}?stream=true", None),
    ("DELETE", "/v1/chat/completions/chatcmpl-{r}", None),
    ("GET", "/v1/conversations/conv_{c}", None),
    ("POST", "/v1/conversations/conv_{c}", {"metadata": {"title": "mine"}}),
    ("GET", "/v1/conversations/conv_{c}/items", None),
    ("POST", "/v1/conversations/conv_{c}/items", {"items": []}),
    ("GET", "/v1/conversations/conv_{c}/items/msg_{m}", None),
    ("DELETE", "/v1/conversations/conv_{c}/items/msg_{m}", None),
    ("DELETE", "/v1/conversations/conv_{c}", None),
    ("GET", "/v1/models/{c}", None),
    ("GET", "/api/chat/{c}/stream", None),
    ("POST", "/api/chat/{c}/stop", None),
    ("POST", "/api/chat/{c}/stop", {"activeStreamId": "{w}"}),
    ("GET", "/api/chat/{c}/messages", None),
    ("GET", "/api/chat/async/{r}/status", None),
    ("DELETE", "/api/chat/async/{w}", None),
    ("GET", "/ai-demo/workflow/stream/{r}", None),
    ("GET", "/ai-demo/workflow/status/{r}", None),
    ("GET", "/chat/task/{r}", None),
    ("GET", "/api/requests/{r}/status", None),
    ("GET", "/requests/{r}/stream", None),
    ("GET", "/api/requests/{r}/stream", None),
    *[("HEAD", path, None) for path in (
        "/v1/requests/{r}", "/v1/requests/{r}/inspect", "/v1/requests/{r}/inspect?owner=ann", "/v1/requests/{w}/log",
        "/v1/requests/{r}/webhooks", "/v1/chats/{c}", "/v1/chats/{c}/messages", "/v1/batches/{b}", "/v1/models/{c}",
    )],
    ("DELETE", "/v1/requests/{w}", None),
]  # fmt: skip

NAMES = {"r": "rrrrrrrr", "w": "wwwwwwww", "c": "cccccccc", "m": "mmmmmmmm", "b": "bbbbbbbb"}
ABSENT = {mark: name.replace(name[0], f"x{name[0]}")[:8] for mark, name in NAMES.items()}


def about(value: Any, names: dict[str, str]) -> Any:
    """The call about these."""
    text = json.dumps(value)
    for mark, name in names.items():
        text = text.replace(f"{{{mark}}}", name)
    return json.loads(text)


async def seed(ann: Caller) -> None:
    """What is ann's."""
    plain = {"request_id": NAMES["r"], "text": play("t", ("text", "said"))}
    assert (await ann.call("POST", "/v1/requests", plain, {"Prefer": "wait=20"}))[0] == 200
    waits = {
        "request_id": NAMES["w"], "chat_id": NAMES["c"], "message_id": NAMES["m"],
        "text": play("t", ("wait", {"question": "May I?"})),
    }  # fmt: skip
    assert '"waiting"' in (await ann.call("POST", "/v1/requests", waits, {"Prefer": "wait=20"}))[1]
    batch = {"batch_id": NAMES["b"], "requests": [{"text": play("t", ("text", "one"))}]}
    assert (await ann.call("POST", "/v1/batches", batch))[0] in (200, 201, 202)


async def seen(ann: Caller) -> list[tuple[int, str]]:
    """Everything of ann's that could have been changed."""
    paths = (
        f"/v1/requests/{NAMES['w']}/log", f"/v1/requests/{NAMES['r']}/log", f"/v1/chats/{NAMES['c']}",
        f"/v1/chats/{NAMES['c']}/messages", f"/v1/batches/{NAMES['b']}",
    )  # fmt: skip
    return [await ann.call("GET", path) for path in paths]


async def test_what_is_not_yours_is_not_there_at_any_door(tmp_path: Path) -> None:
    """Every call about another's request, chat, message or batch is answered as for one that nobody has, to the letter, and
    changes nothing of it (I9); without a token all of them are answered alike."""
    async with serving(tmp_path) as (server, http):
        ann, bob, nobody = (Caller(server, http, user) for user in ("ann", "bob", None))
        await seed(ann)
        results = await ann.call("GET", f"/v1/batches/{NAMES['b']}/results")  # waits for the last of them
        assert results[0] == 200
        before = await seen(ann)
        for method, path, body in STRANGERS:
            real = await bob.call(method, about(path, NAMES), about(body, NAMES))
            absent = await bob.call(method, about(path, ABSENT), about(body, ABSENT))
            told = absent[1]
            for mark, name in NAMES.items():
                told = told.replace(ABSENT[mark], name)
            assert (absent[0], told) == real, (method, path)
            refused = await nobody.call(method, about(path, NAMES), about(body, NAMES))
            assert (refused[0], '"unauthenticated"' in refused[1]) == (401, method != "HEAD"), (method, path)
        assert await seen(ann) == before


def test_every_path_with_an_id_is_tried(tmp_path: Path) -> None:
    """There is no path with a name in it that the table of strangers' calls leaves out."""
    node = Node(config(tmp_path, **{"doors.dialects": True}))
    app = web.Application()
    node.entrance.add_routes(app)
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and "{" in route.resource.canonical and route.method != "OPTIONS"
    }
    tried = web.Application()

    async def nothing(request: web.Request) -> web.Response:
        raise NotImplementedError

    left = set()
    for method, path in routes:
        resource = tried.router.add_resource(path)
        resource.add_route(method, nothing)
        calls = [about(each, NAMES).partition("?")[0] for kind, each, _ in STRANGERS if kind == method]
        if not any(resource.get_info()["pattern"].fullmatch(call) for call in calls):
            left.add((method, path))
    assert not left


# -- what is sent ----------------------------------------------------------------------------------------------------


async def test_what_is_packed_is_refused_and_not_unpacked(tmp_path: Path) -> None:
    """A body with a Content-Encoding is refused, and costs no more than one without, whoever sends it: 200 kB may stand
    for 200 MB."""
    bomb = gzip.compress(bytes(100_000_000), compresslevel=9)

    def cpu_s(server: Server) -> float:
        ticks = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    async with serving(tmp_path) as (server, http):
        ann, nobody = Caller(server, http, "ann"), Caller(server, http, None)
        packed = {"Content-Encoding": "gzip"}
        small = gzip.compress(b'{"text": "Hello?"}')
        status, text = await ann.call("POST", "/v1/requests", small, packed)
        assert (status, json.loads(text)["error"]["code"]) == (415, "unsupported_encoding")
        spent = []
        for headers in ({}, packed):
            began = cpu_s(server)
            for caller in (ann, nobody) * 4:
                await caller.call("POST", "/v1/requests", bomb, headers)
            spent.append(cpu_s(server) - began)
        assert spent[1] < 10 * (spent[0] + 0.02)


@pytest.mark.parametrize("value", ["[[[[[[[]]]]]]]", "0", "{}"])
async def test_a_body_of_very_many_values_is_refused_before_it_is_read(tmp_path: Path, value: str) -> None:
    """A body with more values than anybody means costs nobody else their turn."""
    room = 900_000 // (len(value) + 1)
    body = f'{{"text": "x", "options": {{"a": [{",".join([value] * room)}]}}}}'.encode()
    rig = HttpRig(tmp_path)
    async with http_serving(rig) as ann:
        async with ann.open("POST", "/v1/requests", data=body) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (413, "too_large")
        assert (await ann.call("POST", "/v1/requests", {"text": "[{" * 20_000})).status == 202


async def exchange(port: int, request: bytes) -> bytes:
    """What comes back for these bytes, up to the end of the head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()


async def test_what_is_no_call_is_refused_by_the_whole_server(tmp_path: Path) -> None:
    """A call that the parser refuses is told in the shape of all refusals, with nothing of it, and one without a path is no
    bug of ours."""
    said = []
    async with serving(tmp_path) as (server, _):
        for line in ("GET /v1/requests?swordfish=" + "x" * 9000, "SWORDFISH /", "OPTIONS *", "CONNECT a:1"):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(f"{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            async with asyncio.timeout(20):
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
            assert b"swordfish" not in body.lower()
            said.append((int(head.split()[1]), json.loads(body)["error"]["code"]))
    assert said == [(414, "too_large"), (400, "malformed"), (404, "not_found"), (404, "not_found")]


async def test_a_host_that_is_none_is_refused(tmp_path: Path) -> None:
    """A Host header that cannot be read is the caller's mistake, and not an incident of ours."""
    async with http_serving(HttpRig(tmp_path)) as ann:
        body = b'{"request_id": "rrrr", "text": "x"}'
        for host in (b"[", b"a b", b"a/b", b"a@b", b"\xff"):
            head = b"POST /v1/requests HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer ann-token\r\nContent-Length: %d\r\n\r\n"
            told = await exchange(ann.rig.port, head % (host, len(body)) + body)
            assert told.startswith(b"HTTP/1.1 400 "), host
        assert (await ann.call("GET", "/v1/requests/rrrr")).status == 404


@pytest.mark.parametrize("path", ["/v1/responses", "/api/chat/ws"])
async def test_a_handshake_with_a_body_is_refused(tmp_path: Path, path: str) -> None:
    """A WebSocket handshake behind which bytes are announced is refused: what stands in front may take them for a body, and
    we for frames."""
    async with serving(tmp_path) as (server, _):
        head = (
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAuthorization: Bearer ann-token\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        )
        for more in ("Content-Length: 20\r\n", "Transfer-Encoding: chunked\r\n"):
            told = await exchange(server.port, f"{head}{more}\r\n0\r\n\r\n".encode())
            assert told.startswith(b"HTTP/1.1 400 "), more
        assert (await exchange(server.port, f"{head}\r\n".encode())).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 200),
        ({"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Host": "evil.example"}, 421),
        ({}, 200),
    ],
)
async def test_foreign_pages_hold_none_of_our_places(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    """Where no token is needed, what the page of another site has its browser fetch is refused, though it could not read
    it; a program, our own page and a link that somebody follows are served."""
    async with http_serving(HttpRig(tmp_path, tokens=False)) as caller:
        assert (await caller.call("GET", "/v1/requests", headers=headers)).status == status


@pytest.mark.parametrize(
    "address",
    ["::ffff:0:127.0.0.1", "fec0::1", "5f00::1", "3fff::1", "168.63.129.16", "192.88.99.1", "192.0.0.9"],
)
def test_webhooks_do_not_go_to_special_addresses(address: str) -> None:
    """Addresses that are special in newer tables than the interpreter's, or public by their number alone, are refused as
    they are written and as a name resolves to them."""
    reach = Reach()
    assert not reach.permits("receiver.example", address)
    with pytest.raises(UrlRefused):
        reach.target(f"https://[{address}]/" if ":" in address else f"https://{address}/")

"""Webhooks to a real receiver on a socket, over a real history and a real store, through deaths and refusals."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from holdfast_protocol.commands import Submission
from holdfast_server.doors.webhook import WebhookSender
from holdfast_server.journal import Journal
from holdfast_server.stores.base import Key, key_of
from holdfast_server.stores.sqlite import SqliteStore
from holdfast_server.webhook_addresses import Reach
from holdfast_server.webhook_terms import SendFailed, WebhookSettings
from holdfast_server.webhooks import Webhooks
from tests.support.documents import ROOT, blocks
from tests.support.parts import ADA, Parts

SECRETS = [f"whsec_{base64.b64encode(bytes([number]) * 32).decode()}" for number in (1, 2)]
ENOUGH_S = 10.0


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return when it holds. Raises: TimeoutError."""
    async with asyncio.timeout(ENOUGH_S):
        while not await holds():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.01)


class Receiver:
    """Takes posts; answers what `answers` says next, then 204."""

    def __init__(self) -> None:
        self.answers: list[web.StreamResponse | Callable[[web.Request], Awaitable[web.StreamResponse]]] = []
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.port = 0
        self._more = asyncio.Event()

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.posts.append((dict(request.headers), await request.read()))
        self._more.set()
        answer = self.answers.pop(0) if self.answers else web.Response(status=204)
        return answer if isinstance(answer, web.StreamResponse) else await answer(request)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in?for=us"

    @property
    def ids(self) -> list[str]:
        return [json.loads(body)["data"]["request_id"] for _, body in self.posts]

    async def posts_are(self, count: int) -> None:
        async with asyncio.timeout(ENOUGH_S):
            while len(self.posts) < count:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


class Bench(Parts):
    """Parts over files, with webhooks; made again over the same folder it is the next process."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        super().__init__(folder)
        self.store = SqliteStore(folder / "data", now_ms=self.now_ms)  # type: ignore[assignment]
        self.journal = Journal(self.store, now_ms=self.now_ms)
        settings = WebhookSettings(
            **{"secrets": SECRETS, "allow_private": True, "retry_s": (0.05, 0.05, 0.05), **changes}
        )
        self.requests._journal = self.journal
        self.requests._placing._journal = self.journal
        self.projector._store = self.store
        self.sender = WebhookSender(
            Reach(allow_private=settings.allow_private, allowed_hosts=settings.allowed_hosts)
        )
        self.webhooks = Webhooks(
            self.chats.webhook_rows, self.journal, self.requests.find, self.sender, settings, now_ms=self.now_ms
        )  # fmt: skip

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def ask(self, request_id: str, url: str) -> Key:
        """As a door does it."""
        key = key_of(ADA, request_id)
        submission = Submission(request_id=request_id, text="why?")
        async with self.webhooks.arming(key, url):
            await self.requests.submit(ADA, submission, envelope={"http": {"webhook": url}})
        return key

    async def state_is(self, key: Key, state: str) -> None:
        async def holds() -> bool:
            hook = await self.webhooks.find(key)
            return hook is not None and hook.state == state

        await until(holds)

    async def tried(self, key: Key) -> bool:
        return bool(await self.webhooks.log_of(key))

    async def forgotten(self, key: Key) -> bool:
        return await self.webhooks.find(key) is None

    async def kill(self) -> None:
        """What a process leaves behind that ends at once: its files. Nothing under way is waited for."""
        await self.webhooks._tasks.close()
        await self.close()

    async def close(self) -> None:
        await self.webhooks.close()
        await self.sender.close()
        await self.projector.close()
        await self.tasks.close()
        await self.chats.close()
        await self.store.close()


async def bench_in(stack: AsyncExitStack, folder: Path, **changes: Any) -> Bench:
    bench = Bench(folder, **changes)
    await bench.store.start()
    await bench.chats.start()
    await bench.projector.start()
    bench.webhooks.start()
    return bench


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Bench]]]:
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> Bench:
            bench = await bench_in(stack, tmp_path, **changes)
            stack.push_async_callback(bench.close)
            return bench

        yield start


def verified(post: tuple[dict[str, str], bytes], secret: str) -> dict[str, Any]:
    """The body, if one of the signatures is this secret's: written from the specification, without our code."""
    headers, body = post
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.split("_", 1)[1])
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert expected in headers["webhook-signature"].split(" ")
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
    found: dict[str, Any] = json.loads(body)
    return found


def documented(headers: dict[str, str], body: bytes, secret: str) -> bool:
    """What the function on the page says of a call."""
    (block,) = (block for block in blocks(ROOT / "docs" / "webhooks.md") if block.language == "python")
    names: dict[str, Any] = {}
    exec(block.text, names)
    genuine: bool = names["is_genuine"](headers, body, secret)
    return genuine


async def test_a_receiver_that_fails_twice_gets_it_the_third_time(
    make: Callable[..., Awaitable[Bench]], receiver: Receiver
) -> None:
    """The same id and body in all three tries, each signed with both secrets; what it said is kept with each try."""
    bench = await make()
    receiver.answers = [
        web.Response(status=500, text="ouch\n" + "x" * 9_999),
        web.Response(status=302, headers={"Location": "/elsewhere"}),
    ]
    key = await bench.ask("r1", receiver.url)
    await bench.answer("Grüße")
    await bench.state_is(key, "delivered")
    bodies = [verified(post, secret) for post in receiver.posts for secret in SECRETS]
    assert len(receiver.posts) == 3
    assert bodies[0]["data"]["text"] == "Grüße"
    assert len({headers["webhook-id"] for headers, _ in receiver.posts}) == 1
    assert len({body for _, body in receiver.posts}) == 1
    assert {headers["Content-Type"] for headers, _ in receiver.posts} == {"application/json"}
    headers, body = receiver.posts[0]
    for secret in SECRETS:
        assert documented(headers, body, secret)
        assert not documented(headers, body + b" ", secret)
        assert not documented({**headers, "webhook-timestamp": "1"}, body, secret)
    tries = await bench.webhooks.log_of(key)
    assert [one.status for one in tries] == [500, 302, 204]
    assert tries[0].said.startswith("ouch xxx")
    assert len(tries[0].said) == 200


async def test_after_a_death_exactly_what_is_missing_is_told(
    make: Callable[..., Awaitable[Bench]], receiver: Receiver
) -> None:
    """Told before: not again. Being told, due, armed, ended meanwhile: told by the next process, by the same ids."""
    first = await make(retry_s=(1,))
    done = await first.ask("done", receiver.url)
    await first.answer()
    await first.state_is(done, "delivered")

    async def never(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        return web.Response()

    receiver.answers = [never]
    await first.ask("cut", receiver.url)
    await first.answer()
    await receiver.posts_are(2)
    receiver.answers = [web.Response(status=503)]
    due = await first.ask("due", receiver.url)
    await first.answer()
    await until(lambda: first.tried(due))
    await first.ask("armed", receiver.url)
    await first.webhooks._tasks.close()  # nobody looks any more
    await first.ask("unseen", receiver.url)
    await first.answer()
    await first.answer()
    await first.kill()
    assert receiver.ids == ["done", "cut", "due"]
    second = await make()
    for request_id in ("cut", "due", "armed", "unseen"):
        await second.state_is(key_of(ADA, request_id), "delivered")
    assert sorted(receiver.ids[3:]) == ["armed", "cut", "due", "unseen"]
    sent = {name: {post[0]["webhook-id"] for post, one in zip(receiver.posts, receiver.ids, strict=True) if one == name}
            for name in set(receiver.ids)}  # fmt: skip
    assert {len(ids) for ids in sent.values()} == {1}


async def test_an_erased_request_is_not_told(
    make: Callable[..., Awaitable[Bench]], receiver: Receiver
) -> None:
    """After `forget`, and also when only its journal went, no post follows."""
    bench = await make(retry_s=(0.3, 0.3))
    receiver.answers = [web.Response(status=500), web.Response(status=500)]
    told, quiet = await bench.ask("told", receiver.url), await bench.ask("quiet", receiver.url)
    await bench.answer()
    await bench.answer()
    await receiver.posts_are(2)
    await bench.journal.erase([told, quiet])
    await bench.webhooks.forget([told])
    kept = await bench.ask("kept", receiver.url)
    await bench.answer()
    await bench.state_is(kept, "delivered")
    await until(lambda: bench.forgotten(quiet))
    assert receiver.ids[2:] == ["kept"]


async def test_a_name_that_resolves_inwards_is_not_connected_to(
    make: Callable[..., Awaitable[Bench]], receiver: Receiver
) -> None:
    """What a name stands for is judged when it is connected to: nothing arrives, and the log says why."""
    bench = await make(allow_private=False, retry_s=())
    key = await bench.ask("r", f"https://localhost:{receiver.port}/")
    await bench.answer()
    await bench.state_is(key, "given_up")
    (one,) = await bench.webhooks.log_of(key)
    assert one.error == "the host is not on the public Internet"
    assert receiver.posts == []


async def test_a_name_cannot_change_between_the_look_and_the_connection(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are asked for once per try, and of several addresses only those that may be reached are left."""
    answers = [
        [("203.0.113.1", 443), ("127.0.0.1", receiver.port)], [("127.0.0.1", receiver.port)], [("169.254.169.254", 80)],
    ]  # fmt: skip
    asked: list[str] = []

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in found]

    sender = WebhookSender(Reach())
    loop = asyncio.get_running_loop()

    async def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        raise AssertionError(f"connected to {address}")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(loop, "sock_connect", connect)
    for _ in range(3):
        with pytest.raises(SendFailed, match="not on the public Internet"):
            await sender.send(f"https://rebind.example:{receiver.port}/", b"{}", {})
    assert asked == ["rebind.example"] * 3
    await sender.close()


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "127.1", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"]
)
async def test_numeric_hosts_do_not_get_around_the_guard(receiver: Receiver, host: str) -> None:
    """Not even where the first look is left out: the socket is made only for an address that passes."""

    class Careless(Reach):
        def target(self, url: str) -> Any:
            return Reach(allow_private=True).target("http://x:9000/")._replace(host=host.strip("[]"))

    sender = WebhookSender(Careless())
    with pytest.raises(SendFailed, match=r"not on the public Internet|InvalidUrl"):
        await sender.send(f"http://{host}:{receiver.port}/", b"{}", {})
    assert receiver.posts == []
    await sender.close()


async def test_what_cannot_be_reached_is_said_in_few_words(receiver: Receiver) -> None:
    """Refused, unknown, without TLS, hung up on: each a short reason, never a stack or an address of ours."""
    sender = WebhookSender(Reach(allow_private=True))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = taken.getsockname()[1]
        for url, reason in (
            (f"http://127.0.0.1:{closed}/", "Connection refused"),
            (f"https://127.0.0.1:{receiver.port}/", "no TLS with it"),
            ("http://nowhere.invalid/", "the name does not resolve"),
        ):
            with pytest.raises(SendFailed, match=reason):
                await sender.send(url, b"{}", {})

    async def hang_up(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    receiver.answers = [hang_up]
    with pytest.raises(SendFailed, match=r"no connection|reset"):
        await sender.send(receiver.url, b"{}", {})
    await sender.close()


async def test_a_receiver_that_never_stops_talking_has_answered_all_the_same(receiver: Receiver) -> None:
    """Its status counts; of its words little is read, and they are not waited for."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=202)
        await response.prepare(request)
        await asyncio.sleep(60)
        return response

    sender = WebhookSender(Reach(allow_private=True))
    receiver.answers = [endless, silent]
    async with asyncio.timeout(ENOUGH_S):
        talkative = await sender.send(receiver.url, b"{}", {})
        mute = await sender.send(receiver.url, b"{}", {})
    assert (talkative.status, len(talkative.said) <= 4096) == (200, True)
    assert (mute.status, mute.said) == (202, "")
    await sender.close()

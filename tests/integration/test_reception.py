"""What all HTTP doors share, on a real port: who is let in, how a no looks, what closing does, and what a reader costs."""

import asyncio
import contextlib
from typing import Any

import pytest
from aiohttp import ClientSession, web

from holdfast_protocol.errors import ERRORS, ProtocolError
from holdfast_server.doors.connection import Runner
from holdfast_server.doors.headers import secure
from holdfast_server.doors.outside import Outside
from holdfast_server.doors.reception import Reception, ReceptionSettings
from holdfast_server.doors.refusal import STATUSES, Refused
from holdfast_server.doors.streaming import EventStream, follow, wait_sealed
from holdfast_server.identity import NoIdentity, TokenIdentity
from holdfast_server.readers import Readers
from tests.support.journals import ANN, BOB

TOKENS = {"ann-token": ANN, "bob-token": BOB}
ANNS = {"Authorization": "Bearer ann-token"}


class Hall:
    """A server with a few paths behind a reception."""

    def __init__(self, *, tokens=True, outside=None, **settings):
        identity = TokenIdentity(TOKENS.items()) if tokens else NoIdentity()
        self.reception = Reception(
            identity,
            readers=Readers(now_ms=lambda: 0),
            settings=ReceptionSettings(**settings),
            outside=outside,
        )
        self.entered = asyncio.Event()
        self.release = asyncio.Event()
        self.raises: Exception | None = None
        self.url = ""
        self.more = {}

    async def who(self, visit):
        if self.raises is not None:
            raise self.raises
        return web.json_response({"user": visit.owner.user, "base": visit.base_url})

    async def hold(self, visit):
        self.entered.set()
        there = await visit.reception.within(self.release.wait(), 30)
        return web.json_response({"there": there})

    async def __aenter__(self):
        app = web.Application(client_max_size=1024 * 1024)
        self.reception.add(app, "GET", "/v1/who", self.who, ticket=True)
        self.reception.add(app, "GET", "/v1/head", self.who, head=True)
        self.reception.add(app, "POST", "/v1/who", self.who)
        self.reception.add(app, "GET", "/v1/hold", self.hold)
        for path, call in self.more.items():
            self.reception.add(app, "GET", path, call)
        self.reception.guard(app)
        secure(app)
        self._runner = Runner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()

    async def raw(self, *lines, body=b""):
        """What comes back for these lines, as they are: the status, the headers, and the body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._runner.addresses[0][1])
        sent = [*lines, "Host: localhost", "Connection: close", "", ""]
        writer.write("\r\n".join(sent).encode() + body)
        async with asyncio.timeout(10):
            head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        first, *more = head.decode().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in more), rest


@pytest.fixture
async def http():
    """A client without a memory."""
    async with ClientSession() as session:
        yield session


async def error_of(response):
    """The error's code, after a look at its shape."""
    body = await response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    return body["error"]["code"]


async def test_a_token_tells_whose_call_it_is(http):
    """Without a valid token nobody comes in; with one, the call is its user's."""
    async with Hall() as hall:
        for headers in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic ann-token"}):
            async with http.get(f"{hall.url}/v1/who", headers=headers) as response:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"] == "Bearer"
                assert await error_of(response) == "unauthenticated"
        async with http.get(f"{hall.url}/v1/who", headers=ANNS) as response:
            assert (await response.json())["user"] == "ann"


async def test_a_ticket_lets_in_once(http):
    """A ticket is its owner's, is used up by one call, and is taken on paths for browsers only."""
    async with Hall() as hall:
        ticket = await hall.reception.tickets.issue(BOB, False, asyncio.get_running_loop().time())
        async with http.post(f"{hall.url}/v1/who?ticket={ticket}") as response:
            assert response.status == 401
        async with http.get(f"{hall.url}/v1/who?ticket={ticket}") as response:
            assert (await response.json())["user"] == "bob"
        async with http.get(f"{hall.url}/v1/who?ticket={ticket}", headers=ANNS) as response:
            assert response.status == 401


async def test_a_page_whose_name_points_here_is_refused(http):
    """Where no token is needed, only names of this machine count, with an origin or without one."""
    async with Hall(tokens=False) as hall:
        for host, status in (
            ("localhost:1", 200),
            ("127.0.0.1", 200),
            ("evil.example", 421),
            ("[::1]:9", 200),
        ):
            async with http.get(f"{hall.url}/v1/who", headers={"Host": host}) as response:
                assert response.status == status, host
        headers = {"Host": "evil.example", "Origin": "http://evil.example"}
        async with http.post(f"{hall.url}/v1/who", headers=headers) as response:
            assert response.status == 421


async def test_the_public_name_is_an_own_name(http):
    """Behind a proxy the server answers to the name that the configuration gives it, and its page may use it."""
    outside = Outside("https://chat.example/base/")
    async with Hall(tokens=False, outside=outside) as hall:
        headers = {"Host": "chat.example", "Origin": "https://chat.example"}
        async with http.get(f"{hall.url}/v1/who", headers=headers) as response:
            assert response.status == 200
            assert (await response.json())["base"] == "https://chat.example/base"
            assert response.headers["Access-Control-Allow-Origin"] == "https://chat.example"


async def test_pages_of_other_origins(http):
    """A listed origin may call and read, preflight included; another one is refused before anything is done."""
    async with Hall(allowed_origins=("https://app.example", "null")) as hall:
        for origin in ("https://app.example", "null"):
            asked = {
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization, x-a",
            }
            async with http.options(f"{hall.url}/v1/who", headers=asked) as response:
                assert response.status == 204
                assert response.headers["Access-Control-Allow-Origin"] == origin
                assert response.headers["Access-Control-Allow-Methods"] == "GET, POST"
                assert response.headers["Access-Control-Allow-Headers"] == "authorization, x-a"
            async with http.get(f"{hall.url}/v1/who", headers={**ANNS, "Origin": origin}) as response:
                assert response.status == 200
                assert response.headers["Access-Control-Allow-Origin"] == origin
                assert "Origin" in response.headers["Vary"]
        for method in ("get", "options"):
            call = getattr(http, method)
            async with call(
                f"{hall.url}/v1/who", headers={**ANNS, "Origin": "https://evil.example"}
            ) as response:
                assert response.status == 403
                assert "Access-Control-Allow-Origin" not in response.headers


async def test_what_is_not_there_has_the_same_shape(http):
    """Unknown paths and methods below a door are told as all else is; elsewhere nothing changes."""
    async with Hall() as hall:
        async with http.get(f"{hall.url}/v1/nothing") as response:
            assert (response.status, await error_of(response)) == (404, "not_found")
        async with http.delete(f"{hall.url}/v1/who") as response:
            assert (response.status, await error_of(response)) == (405, "method_not_allowed")
            assert "POST" in response.headers["Allow"]
        async with http.get(f"{hall.url}/elsewhere") as response:
            assert response.status == 404
            assert response.content_type == "text/plain"


async def test_what_is_not_there_can_be_read_by_permitted_pages(http):
    """A page of a listed origin may read that a path or a method is not there; another may not."""
    async with Hall(allowed_origins=("https://app.example",)) as hall:
        for method, path, status in (("GET", "/v1/nothing", 404), ("DELETE", "/v1/who", 405)):
            for origin, allowed in (("https://app.example",) * 2, ("https://evil.example", None)):
                async with http.request(method, hall.url + path, headers={"Origin": origin}) as response:
                    assert response.status == status
                    assert response.headers.get("Access-Control-Allow-Origin") == allowed


async def test_the_page_of_the_docs_is_named_where_it_is(http):
    """Who asks for what is not there is sent to /docs only if that is served."""
    async with Hall() as hall:
        for docs in (False, True):
            hall.reception.docs = docs
            async with http.get(f"{hall.url}/v1/nothing") as response:
                assert ("/docs" in (await response.json())["error"]["message"]) == docs


async def test_every_code_has_a_status(http):
    """Each code of the protocol is told with its status; what may succeed later says when, and SDKs are told too."""
    assert set(STATUSES) == set(ERRORS)
    async with Hall(calls_burst=1000) as hall:
        for code, row in ERRORS.items():
            hall.raises = ProtocolError(code)
            async with http.get(f"{hall.url}/v1/who", headers=ANNS) as response:
                assert (response.status, await error_of(response)) == (STATUSES[code], code)
                assert response.headers["x-should-retry"] == ("true" if row.retryable else "false")
                assert ("Retry-After" in response.headers) == (
                    row.retryable and response.status in (429, 503)
                )


async def test_a_bug_is_told_under_a_number(http):
    """What nobody foresaw tells nothing of itself."""
    async with Hall() as hall:
        hall.raises = RuntimeError("the secret is swordfish")
        async with http.get(f"{hall.url}/v1/who", headers=ANNS) as response:
            assert response.status == 500
            assert "swordfish" not in await response.text()
            assert "Incident" in await response.text()


async def test_the_rate_is_bounded_per_user(http):
    """Who calls too often is told when to come back; nobody else is."""
    async with Hall(calls_per_s=0.001, calls_burst=2) as hall:
        statuses, last = [], None
        for _ in range(4):
            async with http.get(f"{hall.url}/v1/who", headers=ANNS) as response:
                statuses.append(response.status)
                last = response.headers.get("Retry-After")
        assert statuses == [200, 200, 429, 429]
        assert last is not None
        assert int(last) > 1
        async with http.get(f"{hall.url}/v1/who", headers={"Authorization": "Bearer bob-token"}) as response:
            assert response.status == 200


async def test_the_places_are_bounded_and_given_back(http):
    """A user has so many calls open at once, and each place comes back however the call ends."""
    async with Hall(user_calls_max=1) as hall:
        held = asyncio.create_task(http.get(f"{hall.url}/v1/hold", headers=ANNS))
        await hall.entered.wait()
        async with http.get(f"{hall.url}/v1/who", headers=ANNS) as response:
            assert (response.status, await error_of(response)) == (429, "too_many_calls")
        hall.release.set()
        assert (await (await held).json()) == {"there": True}
        hall.raises = Refused(400, "no", "No.")
        for _ in range(3):
            async with http.get(f"{hall.url}/v1/who", headers=ANNS) as response:
                assert response.status == 400


async def test_closing_ends_what_waits(http):
    """A server that closes answers those who wait, and takes nobody new."""
    async with Hall() as hall:
        held = asyncio.create_task(http.get(f"{hall.url}/v1/hold", headers=ANNS))
        await hall.entered.wait()
        hall.reception.close()
        assert (await (await held).json()) == {"there": False}
        async with http.get(f"{hall.url}/v1/who", headers=ANNS) as response:
            assert (response.status, await error_of(response)) == (503, "draining")


def test_addresses_behind_proxies():
    """Headers are believed from the named networks only, and the nearest stranger is who asks."""
    from aiohttp.test_utils import make_mocked_request

    def asked(remote, **headers):
        request = make_mocked_request("GET", "/", headers={"Host": "in.example", **headers})
        return request.clone(remote=remote)

    outside = Outside(trusted=["10.0.0.0/8", "::1"])
    chain = {
        "X-Forwarded-For": "6.6.6.6, 1.2.3.4, 10.0.0.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "out.example",
    }
    assert outside.address(asked("9.9.9.9", **chain)) == "9.9.9.9"
    assert outside.address(asked("10.1.1.1", **chain)) == "1.2.3.4"
    assert outside.address(asked("::1", **{"X-Forwarded-For": "junk"})) == "::1"
    assert outside.base_url(asked("10.1.1.1", **chain)) == "https://out.example"
    assert outside.base_url(asked("9.9.9.9", **chain)) == "http://in.example"
    assert Outside("https://a.example/x/").base_url(asked("9.9.9.9")) == "https://a.example/x"


class Log:
    """Just enough of a log that grows."""

    def __init__(self):
        self.tail, self.sealed, self.erased = 0, False, False
        self._grown = asyncio.Event()
        self.key = ANN

    async def wait(self, past):
        while self.tail <= past and not self.sealed and not self.erased:
            self._grown.clear()
            await self._grown.wait()

    async def wait_sealed(self):
        while not self.sealed:
            self._grown.clear()
            await self._grown.wait()

    def grow(self, count=0, *, sealed=False):
        self.tail, self.sealed = self.tail + count, sealed
        self._grown.set()


async def test_a_stream_follows_to_the_end_and_says_it_lives(http):
    """Ranges come as the log grows, comments between them, and the response ends with the log."""
    log: Any = Log()

    async def serve(visit):
        async with EventStream(visit) as stream:
            async for first, last in follow(stream, log, 0, "test"):
                await stream.write(b"data: %d-%d\n\n" % (first, last))
        return stream.response

    hall = Hall(keep_alive_s=0.05)
    hall.more["/v1/stream"] = serve
    async with hall, http.get(f"{hall.url}/v1/stream", headers=ANNS) as response:
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.content_type == "text/event-stream"
        assert await response.content.readline() == b": alive\n"
        log.grow(600)
        text = b""
        while b"512-600" not in text:
            text += await response.content.readline()
        log.grow(sealed=True)
        rest = await response.content.read()
    lines = [line for line in text.split(b"\n") if line.startswith(b"data")]
    assert lines == [b"data: 0-256", b"data: 256-512", b"data: 512-600"]
    assert not rest.replace(b": alive\n", b"").strip()


async def test_a_wait_ends_when_the_caller_goes(http):
    """Who hangs up while waiting for an outcome frees the place, and the log knows nothing of it."""
    log: Any = Log()
    ended = asyncio.Event()

    async def serve(visit):
        try:
            return web.json_response({"sealed": await wait_sealed(visit, log, 60)})
        finally:
            ended.set()

    hall = Hall()
    hall.more["/v1/wait"] = serve
    async with hall:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.3), http.get(f"{hall.url}/v1/wait", headers=ANNS) as response:
                await response.read()
        await asyncio.wait_for(ended.wait(), 30)
        assert not log.sealed


async def test_closing_in_the_moment_in_which_a_wait_runs_out():
    """A wait that ends by itself just then is no reason not to close."""
    reception = Hall().reception
    waiting = asyncio.create_task(reception.within(asyncio.Event().wait(), 0.005))
    await asyncio.sleep(0)
    (limit,) = reception._waits
    closed = asyncio.get_running_loop().create_future()

    def close():
        try:
            reception.close()
        except RuntimeError as error:
            closed.set_exception(error)
        else:
            closed.set_result(None)

    # In the same turn of the loop, right behind the wait's own end, which the waiting task has not seen yet.
    asyncio.get_running_loop().call_at((limit.when() or 0) + 1e-6, close)
    await closed
    assert await waiting is False

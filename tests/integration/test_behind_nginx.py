"""A real nginx with its own defaults before a real server: events come at once, addresses are right, restarts cost nothing."""

import asyncio
import random
import re
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout, WSServerHandshakeError

from tests.support.every_door import Doors, Reader
from tests.support.nginx import Nginx
from tests.support.serving import Server, openai_toml
from tests.support.streams import SSE, TALKS, ask, each_says, open_all, says, texts_of
from tests.support.upstream import Script, Upstream, expected_text, scripted

pytestmark = pytest.mark.needs("nginx")

SOCKETS = ("/ws", "= /v1/responses", "/api/chat/ws")
WORDS = [f"word{n:02} " for n in range(20)]
HELD = 6
SCRIPT = Script(text="".join(WORDS), delta_chars=len(WORDS[0]), hold=HELD)
BROAD = "[limits]\ncommands_per_s = 10000\ncommands_burst = 10000\n"
PUBLIC = "https://chat.example.org"
PATIENT = ClientTimeout(total=None, sock_connect=5, sock_read=20)


@asynccontextmanager
async def behind(folder, *, toml="", conf="", servers=None):
    """A model that holds in mid-answer, a server that asks it, and an nginx before that."""
    async with Upstream() as upstream:
        upstream.script(SCRIPT)
        written = openai_toml(upstream.base_url, extra=BROAD + toml)
        async with (
            Server(folder / "server", toml=written) as server,
            Nginx(folder / "nginx", server.port, conf, sockets=SOCKETS, servers=servers) as nginx,
            ClientSession(timeout=PATIENT) as http,
        ):
            yield upstream, server, nginx, http


async def test_every_stream_comes_at_once(tmp_path):
    """While the model holds, what it said before is at every reader, and nothing of what follows; nginx buffers by default."""
    async with behind(tmp_path) as (upstream, _, nginx, http), AsyncExitStack() as stack:
        await ask(http, nginx.url)
        feed = await stack.enter_async_context(http.get(f"{nginx.url}/v1/feed", headers=SSE))
        await says(texts_of(feed), "the-chat")
        assert feed.headers["Server"].startswith("nginx")
        streams = await open_all(stack, http, nginx.url)
        await each_says(streams, WORDS[HELD - 1])
        upstream.release()
        await each_says(streams, WORDS[-1])
        assert nginx.errors() == []


async def test_keep_alives_hold_an_idle_stream_open(tmp_path):
    """A stream in which nothing happens for longer than nginx waits for its server stays open; without them it is cut."""
    conf = "    proxy_read_timeout 2s;\n"  # longer than a busy machine stands still of itself
    idle_s = 4.5  # more than twice that
    async with behind(tmp_path / "a", toml="[doors]\nkeep_alive_s = 0.25\n", conf=conf) as rig:
        upstream, _, nginx, http = rig
        async with AsyncExitStack() as stack:
            await ask(http, nginx.url)
            streams = await open_all(stack, http, nginx.url)
            for path in TALKS:  # these say that they are there every 20 seconds
                del streams[path]
            await each_says(streams, WORDS[HELD - 1])
            await asyncio.sleep(idle_s)
            upstream.release()
            await each_says(streams, WORDS[-1])
    async with behind(tmp_path / "b", conf=conf) as (_, _, nginx, http):
        await ask(http, nginx.url)
        with pytest.raises(ClientError):
            async with http.get(f"{nginx.url}/v1/requests/asked/events", headers=SSE) as response:
                await says(texts_of(response), WORDS[-1])
        assert any("timed out" in error for error in nginx.errors())


@pytest.mark.slow
async def test_every_reader_has_the_same_bytes_through_restarts_of_nginx(tmp_path):
    """All readers of every door, their lines breaking at random, and nginx started anew twice in mid-answer."""
    script = Script(deltas=120, delta_chars=17, gap_ms=4, hold=60, reasoning_deltas=4, split_utf8=True)
    async with behind(tmp_path) as (upstream, _, nginx, http):
        await ask(http, nginx.url, text=scripted("Everybody listens.", script))
        lines = Doors(http, nginx.url, "asked", "the-chat").all()
        readers = {door: Reader(door, random.Random(f"nginx {door}")) for door in lines}
        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            tasks = [group.create_task(readers[door].to_the_end(line)) for door, line in lines.items()]
            for reader in readers.values():
                await reader.started.wait()
            await nginx.restart()
            await upstream.log.level.until(lambda: any(call.stalled for call in upstream.log.calls))
            assert not any(task.done() for task in tasks)
            await nginx.restart()
            upstream.release()
        for door, reader in readers.items():
            assert reader.text == expected_text(script), door
        assert min(readers[door].lines for door in ("sse", "responses-sse", "websocket-json")) >= 3
        assert len(upstream.log.calls) == 1


def documented():
    """The lines for nginx and for us that docs/operations.md shows, as far as they can be used without a certificate."""
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    nginx, ours = re.findall(r"```(?:nginx|toml)\n(.*?)```", text, re.DOTALL)[:2]
    nginx = re.sub(r" +(server_name|ssl_).*;\n", "", nginx).replace("443 ssl", "127.0.0.1:PORT")
    return nginx.replace(":8080", ":UPSTREAM"), ours.partition("[identity]")[0]


async def test_the_lines_of_the_page_serve_every_door(tmp_path):
    """As docs/operations.md has it: streams and sockets at once, addresses and origins of the outside; a killed server is seen."""
    servers, toml = documented()
    async with behind(tmp_path, toml=toml, servers=servers) as (_, server, nginx, http):
        accepted, _ = await ask(http, nginx.url)
        assert accepted["urls"]["self"] == f"{PUBLIC}/v1/requests/asked"
        assert await may(http, nginx.url, PUBLIC)
        async with AsyncExitStack() as stack:
            streams = await open_all(stack, http, nginx.url)
            await each_says(streams, WORDS[HELD - 1])
            await server.kill()
            # It does not look as if it had ended.
            for name, pieces in streams.items():
                with pytest.raises(AssertionError if name in TALKS else ClientError):
                    await says(pieces, WORDS[-1])
        assert nginx.errors()


async def test_a_server_that_stops_breaks_streams_off(tmp_path):
    """SIGTERM with answers that do not end in time: who has no place in the stream gets an error, also behind HTTP/1.0."""
    toml = "[server]\ndrain_s = 0\n"
    async with behind(tmp_path, toml=toml) as (_, server, nginx, http), AsyncExitStack() as stack:
        await ask(http, nginx.url)
        streams = await open_all(stack, http, nginx.url)
        await each_says(streams, WORDS[HELD - 1])
        async with asyncio.TaskGroup() as group:
            group.create_task(server.process.terminate())
            for name in ("responses", "responses-again", "completions", "completions-again", "ai-sdk"):
                with pytest.raises(ClientError):
                    await says(streams[name], WORDS[-1])
            for path in TALKS:
                with pytest.raises(AssertionError, match="ended without"):
                    await says(streams[path], WORDS[-1])


FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "chat.example.org"}
SET = "".join(f"    proxy_set_header {name} {value};\n" for name, value in FORWARDED.items())


@pytest.mark.parametrize(
    ("toml", "conf", "sent", "expected"),
    [
        (f'[server]\npublic_url = "{PUBLIC}/holdfast/"\n', "", FORWARDED, f"{PUBLIC}/holdfast"),
        ('[server]\ntrusted_proxies = ["127.0.0.1"]\n', SET, {"X-Forwarded-Host": "evil.example"}, PUBLIC),
        ('[server]\ntrusted_proxies = ["10.0.0.0/8"]\n', SET, FORWARDED, None),
        ("", "", FORWARDED, None),
    ],
    ids=["public-url", "trusted", "untrusted", "unset"],
)
async def test_addresses_are_those_of_the_outside(tmp_path, toml, conf, sent, expected):
    """Absolute addresses are made of `public_url`, else of what a trusted proxy says; what others say is not believed."""
    async with behind(tmp_path, toml=toml, conf=conf) as (_, server, nginx, http):
        accepted, headers = await ask(http, nginx.url, sent)
        base = expected or f"http://127.0.0.1:{server.port}"
        assert all(url.startswith(f"{base}/v1/requests/asked") for url in accepted["urls"].values())
        assert accepted["urls"]["events"] == f"{base}/v1/requests/asked/events"
        assert (
            headers["Location"] == f"{urlsplit(base).path}/v1/requests/asked"
        )  # good from wherever it is read


async def may(http, base, origin):
    """Whether a page of that origin gets in, by HTTP and by each socket."""
    headers = {"Origin": origin}
    async with http.get(f"{base}/v1/models", headers=headers) as response:
        ways = {response.status == 200}
        assert (response.headers.get("Access-Control-Allow-Origin") == origin) is (response.status == 200)
    for path in TALKS:
        try:
            async with http.ws_connect(base + path, headers=headers) as ws:
                first = await asyncio.wait_for(ws.receive(), 0.3)
                ways.add(ws.close_code != 4403 and first.data != 4403)
        except TimeoutError:
            ways.add(True)
        except WSServerHandshakeError:
            ways.add(False)
    (way,) = ways
    return way


async def test_pages_are_let_in_by_the_public_url(tmp_path):
    """Where nginx names the server by its address behind it, a page's origin is known by `public_url` alone."""
    toml = f'[server]\npublic_url = "{PUBLIC}"\n'
    async with behind(tmp_path / "a", toml=toml) as (_, _, nginx, http):
        assert await may(http, nginx.url, PUBLIC)
        assert not await may(http, nginx.url, "https://evil.example")
        assert not await may(http, nginx.url, "http://chat.example.org")
    async with behind(tmp_path / "b") as (_, _, nginx, http):
        assert not await may(http, nginx.url, PUBLIC)

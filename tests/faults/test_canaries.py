"""Nothing secret is written anywhere it should not be: not into the server's output, not onto the wire."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from holdfast_client import connect
from tests.support.raw_socket import RawSocket
from tests.support.script import Script, scripted
from tests.support.serving import Server
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.faults, pytest.mark.slow]

BOUND_S = 60
TOKEN = "canary-token-91c2e7"
PROMPT = "canary-prompt-5d0b44"
KEY = "canary-key-c81f20"
INNARDS = re.compile(
    r"Traceback|File \"|\.py\b|site-packages|line \d+, in |0x[0-9a-f]{6}|/tmp/|holdfast_server"
)

BAD_FRAMES = [
    "", "{", "null", "[]", "{}", '{"type":1}', '{"type":"ping"}', '{"type":"nope","ref":1}',
    '{"type":"ping","ref":' + "9" * 400 + "}", '{"type":"subscribe","ref":1,"request_id":"../../etc/passwd"}',
    '{"type":"subscribe","ref":1,"request_id":"none"}', '{"type":"subscribe","ref":1,"request_id":"none","cursor":"9-9.x"}',
    '{"type":"cancel","ref":1,"request_id":"none"}', '{"type":"read_events","ref":1,"request_id":"none","start":-1}',
    '{"type":"decide","ref":1,"request_id":"none","wait_id":"w","decision":' + "[" * 30 + "]" * 30 + "}",
    '{"type":"list_messages","ref":1,"chat_id":"none"}', '{"type":"list_chats","ref":1,"before":"garbage"}',
    '{"type":"search","ref":1,"query":"\\" OR * NEAR("}', '{"type":"search","ref":1,"query":"\\u0000"}',
    '{"type":"delete_message","ref":1,"chat_id":"none","message_id":"none"}', '{"type":"restore_chat","ref":1,"chat_id":"none"}',
    '{"type":"watch","ref":1,"cursor":"garbage"}', '{"type":"submit","ref":1,"request":{}}',
    '{"type":"submit","ref":1,"request":{"text":"x","agent":"none"}}', '{"type":"submit","ref":1,"request":{"text":"x","options":{"a":1e999}}}',
    '{"type":"submit","ref":1,"request":{"messages":[{"role":"user","text":"x"}],"options":{"nonsense":true}}}',
    '{"type":"submit","ref":1,"request":{"chat_id":"c","text":"x","parent_id":"none"}}',
    '{"type":"update_chat","ref":1,"chat_id":"none","title":"' + "x" * 300 + '"}', '{"type":"probe","ref":1,"request_ids":[]}',
]  # fmt: skip


def toml(base_url: str, log: str) -> str:
    """Tokens, a key, and every line of the log that there is."""
    return (
        f'default_agent = "model"\n[server]\nlog_level = "debug"\nlog_format = "{log}"\n'
        f'[identity]\nkind = "tokens"\ntokens = [{{token = "{TOKEN}", user = "ann"}}]\n'
        f'[agents.model]\nkind = "openai_chat"\nmodel = "scripted"\nretries = 1\nbase_url = "{base_url}"\napi_key = "{KEY}"\n'
    )


def written(folder: Path) -> str:
    """Everything that the server has put out."""
    return "".join(file.read_text("utf-8", "replace") for file in folder.glob("server-*.log"))


def assert_clean(output: str) -> None:
    """No canary in it, in none of the shapes in which one could be looked for."""
    for canary in (TOKEN, PROMPT, KEY):
        found = output.find(canary)
        assert found < 0, output[max(0, found - 600) : found + 100]


async def by_hand(port: int, request: str) -> bytes:
    """What an HTTP request of these exact bytes gets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    try:
        async with asyncio.timeout(20):
            return await reader.read(65536)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("log", ["json", "text"])
async def test_nothing_secret_is_logged(tmp_path, log):
    """Through good and bad answers, refused tokens, broken requests, a full round of commands, a kill and a drain, no
    token, no key and no word of a prompt is in the server's output, at the most talkative level."""
    async with (
        asyncio.timeout(BOUND_S),
        Upstream() as upstream,
        Server(tmp_path, toml=toml(upstream.base_url, log)) as server,
    ):
        async with connect(server.url, token=TOKEN) as client:
            for number, script in enumerate(
                [Script(), Script(cut=3), Script(garbage=3, faulty_calls=None), Script(status=401, faulty_calls=None),
                 Script(status=400, faulty_calls=None), Script(error_object=0, faulty_calls=None), Script(text=PROMPT)]
            ):  # fmt: skip
                answer = await client.submit(scripted(PROMPT, script), chat_id=f"c{number}")
                await answer.result()
            await client.submit(scripted(PROMPT, Script(stall=1)), request_id="stalled")
            await client.search(PROMPT)
            await server.kill()
            await server.start()
            await client.messages("c0")
        with pytest.raises(ConnectionError):
            await RawSocket.open(
                server.port, headers={"Authorization": f"Bearer {TOKEN}", "Origin": "http://evil"}
            )
        stranger = await RawSocket.open(server.port)
        await stranger.say({"type": "hello", "ref": 1, "token": TOKEN + "x"})
        assert await stranger.message() is None
        stranger.close()
        friend = await RawSocket.open(server.port, headers={"Authorization": f"Bearer {TOKEN}"})
        for frame in BAD_FRAMES:
            await friend.say({"type": PROMPT, "ref": 1, "frame": frame})
            assert await friend.message() is not None
        for broken in (
            f"GET /ws?token={TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n",
            f"GET /{TOKEN} HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\x00\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nX-Key{TOKEN} y\r\n\r\n",
            f"{TOKEN} / HTTP/9.9\r\n\r\n",
            f"GET / HTTP/1.1\r\nHost: x\r\nCookie: {TOKEN * 2000}\r\n\r\n",
        ):
            answered = await by_hand(server.port, broken)
            assert not INNARDS.search(answered.decode("latin-1")), answered
        friend.close()
        assert await server.process.terminate(wait_s=40) == 0
    assert_clean(written(tmp_path))
    assert written(tmp_path).strip(), "nothing was put out at all"


async def test_no_error_tells_of_the_machine(tmp_path):
    """Whatever is sent, what comes back is a code and a sentence: no stack trace, path, module or address in memory."""
    async with (
        asyncio.timeout(BOUND_S),
        Upstream() as upstream,
        Server(tmp_path, toml=toml(upstream.base_url, "json")) as server,
    ):
        friend = await RawSocket.open(server.port, headers={"Authorization": f"Bearer {TOKEN}"})
        codes = set()
        for number, frame in enumerate(BAD_FRAMES):
            await friend.frame(frame)
            await friend.say({"type": "ping", "ref": 1_000_000 + number})
            while True:
                message = await friend.message()
                assert message is not None, (frame, friend.closed)
                shown = json.dumps(message)
                assert not INNARDS.search(shown), shown
                if message["type"] == "error":
                    codes.add(message["code"])
                    assert message["message"]
                if message.get("ref") == 1_000_000 + number:
                    break
        assert len(codes) >= 6, codes
        assert "internal" not in codes
        friend.close()


@asynccontextmanager
async def telltale(status: int, user: str) -> AsyncIterator[str]:
    """An upstream whose errors repeat what it was sent, the key too, as some gateways do. Gives its base URL."""

    async def answer(request: web.Request) -> web.Response:
        said = f"bad request with {request.headers.get('Authorization')} for /srv/app/x.py"
        body = {"error": {"message": said, "type": "invalid_request_error"}}
        if status == 200:  # the stream begins, and what follows is the error
            return web.Response(text=f"data: {json.dumps(body)}\n\n", content_type="text/event-stream")
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://{user}127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "user"),
    [
        (400, ""),
        (401, ""),
        (422, ""),
        (500, ""),
        (200, ""),
        (401, f"operator:{KEY}@"),
        (404, f"operator:{KEY}@"),
    ],
)
async def test_an_upstream_that_repeats_our_key(tmp_path, status, user):
    """The operator's key does not reach a person by way of the upstream's words, nor by the address that is configured."""
    async with (
        asyncio.timeout(BOUND_S),
        telltale(status, user) as base_url,
        Server(tmp_path, toml=toml(base_url, "json")) as server,
        connect(server.url, token=TOKEN) as client,
    ):
        answer = await client.submit("Hello?", request_id="told")
        transcript = await answer.result()
        assert transcript.status == "failed"
        events = (await client.read_events("told")).events
        assert KEY not in repr((transcript, events))
    assert_clean(written(tmp_path))

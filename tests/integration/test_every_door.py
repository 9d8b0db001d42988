"""One answer, read at once through every door, each line breaking at random: all end with the same bytes."""

import asyncio
import hashlib
import hmac
import json
import random
from base64 import b64decode, b64encode

import pytest
from aiohttp import ClientSession, ClientTimeout, web

from tests.support.every_door import Doors, Reader
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Script, Upstream, expected_text, scripted

SEED = 20260101
SECRET = "whsec_" + b64encode(b"a secret of thirty-two characters").decode()
DOORS_TOML = f"""
[webhooks]
secrets = ["{SECRET}"]
allow_private = true
retry_s = [0.5]

[limits]
commands_per_s = 10000
commands_burst = 10000
"""


class Receiver:
    """Takes webhooks, after a first try that it refuses."""

    def __init__(self):
        self.bodies = []
        self.came = asyncio.Event()
        self.tries = 0
        self.url = ""

    async def take(self, request):
        raw = await request.read()
        self.tries += 1
        signed = b".".join(
            (request.headers["webhook-id"].encode(), request.headers["webhook-timestamp"].encode(), raw)
        )
        key = b64decode(SECRET.removeprefix("whsec_"))
        wanted = "v1," + b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert wanted in request.headers["webhook-signature"].split(" ")
        if self.tries == 1:
            return web.Response(status=503, headers={"Retry-After": "1"})
        self.bodies.append(json.loads(raw))
        self.came.set()
        return web.Response()

    async def __aenter__(self):
        app = web.Application()
        app.router.add_post("/hook", self.take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return self

    async def __aexit__(self, *_):
        await self._runner.cleanup()


async def text_now(http, base):
    """What the answer shows."""
    async with http.get(f"{base}/v1/requests/the-answer?wait=0.1") as response:
        return (await response.json())["text"]


@pytest.mark.slow
@pytest.mark.parametrize("recovery", [None, "continue", "restart"])
async def test_every_door_ends_with_the_same_bytes(tmp_path, recovery):
    """WebSocket in both codecs, SSE, NDJSON, long-poll, poll, Responses over SSE, socket and poll, chat completions, the AI SDK
    over SSE and socket, and a webhook: whoever reads, and however often it is cut, has the answer; also if the server is killed in
    mid-answer, whether the answer is then gone on with or begun anew."""
    script = Script(deltas=150, delta_chars=17, gap_ms=4, hold=30, reasoning_deltas=5, split_utf8=True)
    killed = recovery is not None
    toml = openai_toml("{url}") + (f'recovery = "{recovery}"\n' if killed else "") + DOORS_TOML
    timeout = ClientTimeout(total=None, sock_connect=5, sock_read=20)
    async with (
        Upstream() as upstream,
        Receiver() as receiver,
        Server(tmp_path, toml=toml.replace("{url}", upstream.base_url)) as server,
        ClientSession(timeout=timeout) as http,
    ):
        base = f"http://127.0.0.1:{server.port}"
        body = {
            "request_id": "the-answer",
            "chat_id": "the-chat",
            "text": scripted("Everybody listens.", script),
            "webhook": {"url": receiver.url},
        }
        async with http.post(
            f"{base}/v1/requests", json=body, headers={"Prefer": "respond-async"}
        ) as response:
            assert response.status == 202, await response.text()
        lines = Doors(http, base, "the-answer", "the-chat").all()
        readers = {door: Reader(door, random.Random(f"{SEED} {door}")) for door in lines}
        async with asyncio.timeout(120), asyncio.TaskGroup() as group:
            tasks = [group.create_task(readers[door].to_the_end(line)) for door, line in lines.items()]
            for reader in readers.values():
                await reader.started.wait()
            while len(await text_now(http, base)) < 25 * script.delta_chars:
                pass  # each call waits a little
            assert not any(task.done() for task in tasks)  # the model holds: nobody has the end yet
            if killed:
                await server.kill()
                await server.start()
            upstream.release()
            await receiver.came.wait()
        expected = await text_now(http, base)
        if (
            recovery != "continue"
        ):  # which is a second question to the model, and it is not asked here how it goes on
            assert expected == expected_text(script)
        for door, reader in readers.items():
            print(f"{door}: {reader.lines} lines, {reader.frames} frames, begun anew {reader.again}")  # noqa: T201
            assert reader.text == expected, door
        assert [hook["data"]["text"] for hook in receiver.bodies] == [expected]
        assert sum(reader.lines for reader in readers.values()) > 3 * len(readers)  # the cuts did bite

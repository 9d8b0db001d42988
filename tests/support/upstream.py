"""A real HTTP server that speaks the OpenAI chat-completions API and misbehaves as its script says.

    async with Upstream() as upstream:
        client = AsyncOpenAI(base_url=upstream.base_url, api_key="any", max_retries=0)
        ... scripted("Hello", Script(deltas=20, cut=7)) as the user message ...
        assert expected_text(script) == what_the_reader_has and len(upstream.log.calls) == 2

As a process of its own, which survives the server under test: `python -m tests.support.upstream --port 0` prints one
JSON line {"port", "base_url", "pid"} and serves until SIGTERM, or until its parent is gone. There, GET /calls
(?messages=1) gives the call log, PUT /script?key=K (a script as JSON) sets one in advance, POST /release?key=K lets held
calls go on, POST /reset forgets all.

A call's key is the header `x-request-id` or `Idempotency-Key`, or the body's `metadata.request_id` or `user`, in this
order. Calls of one key are counted; without a key, calls with the same last user message are.
A script in the prompt wins over one set for the key, which wins over one set for all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from types import TracebackType
from typing import Any, Self

import msgspec
from aiohttp import web

from tests.support.answer import Answer, Releases, refusal
from tests.support.calls import CallLog
from tests.support.script import (
    Script,
    ToolCall,
    expected_reasoning,
    expected_text,
    last_prompt,
    script_in,
    scripted,
    sha256_of,
    text_sent,
)

__all__ = ["Script", "ToolCall", "Upstream", "expected_reasoning", "expected_text", "scripted", "text_sent"]

BODY_BYTES_MAX = 64 * 1024 * 1024  # a whole chat with its history; what is larger is a bug of the caller
MODELS = ("scripted-1", "scripted-2")
PARENT_LOOK_S = 0.5  # how soon the process notices that its parent is gone


class Upstream:
    """The scripted model's server, on a free loopback port. An async context manager."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.log = CallLog()
        self.host, self.port = host, port
        self._scripts: dict[str, Script] = {}
        self._releases = Releases()
        self._stopping = False
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._completions),
                web.get("/v1/models", self._models),
                web.get("/calls", self._calls),
                web.put("/script", self._put_script),
                web.post("/release", self._post_release),
                web.post("/reset", self._post_reset),
            ]
        )
        # Cancelled handlers are how a silent call (stall, hold, gap) learns that its client went.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.05)

    @property
    def base_url(self) -> str:
        """What the SDK takes as `base_url`."""
        return f"http://{self.host}:{self.port}/v1"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        await self._runner.cleanup()

    def script(self, script: Script, key: str = "") -> None:
        """Sets a script in advance: for the calls of `key`, or for all that have none of their own."""
        self._scripts[key] = script

    def release(self, key: str = "") -> None:
        """Lets the held calls of `key` go on, and its later ones too; without a key, those of all."""
        self._releases.release(key)

    def reset(self) -> None:
        """Forgets calls, scripts set in advance and releases."""
        self.log.reset()
        self._scripts.clear()
        self._releases.reset()

    # The API under test

    async def _models(self, request: web.Request) -> web.Response:
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "tests"} for name in MODELS]
        return web.json_response({"object": "list", "data": data})

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        try:
            body = json.loads(raw)
            messages = body["messages"]
            prompt = last_prompt(messages)
            key = _key_of(request, body)
            script = script_in(prompt) or self._scripts.get(key) or self._scripts.get("") or Script()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return refusal(400, f"not a chat completion request: {error!r}")
        try:
            call = self.log.begin(
                key=key,
                lineage=f"key:{key}" if key else f"prompt:{prompt}",
                model=str(body.get("model", "")),
                stream=bool(body.get("stream")),
                sdk_retry=int(request.headers.get("x-stainless-retry-count", "0")),
                sha256=sha256_of(messages),
                messages=messages,
                size=len(raw),
            )
        except OverflowError as error:
            return refusal(507, str(error))
        answer = Answer(
            request=request, body=body, script=script, call=call, log=self.log, releases=self._releases
        )
        outcome = "disconnected"
        try:
            response = await answer.give()
            outcome = answer.outcome
            return response
        except ConnectionError:  # the client went while we wrote: there is nobody left to answer
            return answer.response
        except asyncio.CancelledError:
            outcome = "stopped" if self._stopping else "disconnected"
            raise
        finally:
            self.log.end(call, outcome)

    # The tests' own door

    async def _calls(self, request: web.Request) -> web.Response:
        calls: list[dict[str, Any]] = msgspec.to_builtins(self.log.calls)
        if "messages" not in request.query:
            for call in calls:
                del call["messages"]
        return web.json_response({"now": time.monotonic(), "calls": calls})

    async def _put_script(self, request: web.Request) -> web.Response:
        try:
            self.script(msgspec.json.decode(await request.read(), type=Script), request.query.get("key", ""))
        except msgspec.MsgspecError as error:
            return refusal(400, f"not a script: {error}")
        return web.json_response({})

    async def _post_release(self, request: web.Request) -> web.Response:
        self.release(request.query.get("key", ""))
        return web.json_response({})

    async def _post_reset(self, request: web.Request) -> web.Response:
        self.reset()
        return web.json_response({})


def _key_of(request: web.Request, body: dict[str, Any]) -> str:
    metadata = body.get("metadata") or {}
    headers = request.headers
    return str(
        headers.get("x-request-id")
        or headers.get("Idempotency-Key")
        or metadata.get("request_id")
        or body.get("user")
        or ""
    )


async def _serve(host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parent = os.getppid()
    async with Upstream(host, port) as upstream:
        line = {"port": upstream.port, "base_url": upstream.base_url, "pid": os.getpid()}
        print(json.dumps(line), flush=True)  # noqa: T201 - the ready line is this program's interface
        while not stop.is_set() and os.getppid() == parent:
            try:
                await asyncio.wait_for(stop.wait(), PARENT_LOOK_S)
            except TimeoutError:
                continue


def main(arguments: list[str]) -> None:
    """Serves until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.upstream", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args(arguments)
    asyncio.run(_serve(options.host, options.port))


if __name__ == "__main__":
    main(sys.argv[1:])

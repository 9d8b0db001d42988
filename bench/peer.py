"""The shape of most chat servers, to be measured beside ours: what the model says is written to the socket it was asked on.

A queue and a task per connection, one frame per delta, nothing kept: `python -m bench.peer`. A client sends one message:

    {"id", "prompt", "base_url"}   relay an OpenAI-compatible model, with the `openai` package
    {"id", "rate", "deltas"}       relay deltas made here at a pace, as bench/paced.py makes them
    {"id", "replay": N}            send a stored answer of N deltas, one frame for each
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from openai import AsyncOpenAI

from bench.paced import delta

QUEUE_MAX = 10_000
_STORED = [delta(float(number)) for number in range(10_000)]
_clients: dict[str, AsyncOpenAI] = {}


async def relayed(asked: dict[str, Any]) -> AsyncIterator[str]:
    """What the model says."""
    url = asked["base_url"]
    if url not in _clients:
        _clients[url] = AsyncOpenAI(api_key="none", base_url=url, max_retries=0)
    stream = await _clients[url].chat.completions.create(
        model="scripted",
        messages=[{"role": "user", "content": asked["prompt"]}],
        stream=True,
        extra_headers={"x-request-id": asked["id"]},
    )
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content


async def made(asked: dict[str, Any]) -> AsyncIterator[str]:
    """What bench/paced.py says, made the same way."""
    due = time.monotonic()
    for _ in range(asked["deltas"]):
        due += 1 / asked["rate"]
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        yield delta(time.monotonic())


async def stored(asked: dict[str, Any]) -> AsyncIterator[str]:
    """What was said once."""
    for text in _STORED[: asked["replay"]]:
        yield text


async def serve(request: web.Request) -> web.WebSocketResponse:
    """One connection, one answer."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    asked = await ws.receive_json()
    source = relayed if "base_url" in asked else made if "rate" in asked else stored
    queue: asyncio.Queue[str | None] = asyncio.Queue(QUEUE_MAX)

    async def produce() -> None:
        try:
            async for text in source(asked):
                await queue.put(text)
        finally:
            await queue.put(None)

    producer = asyncio.create_task(produce())
    try:
        while (text := await queue.get()) is not None:
            await ws.send_str(json.dumps({"id": asked["id"], "text": text}))
        await ws.send_str(json.dumps({"id": asked["id"], "end": True}))
        await ws.receive()
    except ConnectionError:
        pass
    finally:
        producer.cancel()
    return ws


async def _main() -> None:
    app = web.Application()
    app.router.add_get("/ws", serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print(json.dumps({"port": runner.addresses[0][1], "pid": os.getpid()}), flush=True)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m bench.peer", description=__doc__).parse_args(sys.argv[1:])
    asyncio.run(_main())

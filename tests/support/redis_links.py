"""A Link to a real Redis with a few functions for tests, and a loop that waits until something is so again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from holdfast_server.stores.base import Unavailable
from holdfast_server.stores.redis.address import Address
from holdfast_server.stores.redis.link import Link
from holdfast_server.stores.redis.source import Library, prefix_of

BACK_S = 15.0  # a server that is back is used within a second; a busy machine gets more
LOOK_S = 0.02

BODY = """
local function add(keys, args)
  if tonumber(args[1]) < 0 then return redis.error_reply('HF NEGATIVE ' .. args[1]) end
  return redis.call('INCRBY', keys[1] .. ':sum', args[1])
end
redis.register_function(PREFIX .. 'add', add)
redis.register_function(PREFIX .. 'fill', function(keys, args)
  redis.call('RPUSH', keys[1] .. ':list', args[1]) return redis.status_reply('OK') end)
redis.register_function(PREFIX .. 'broken', function() local nothing = nil return nothing.x end)
redis.register_function(PREFIX .. 'spin', function() while true do end end)
redis.register_function{function_name = PREFIX .. 'sum', flags = {'no-writes'},
  callback = function(keys) return redis.call('GET', keys[1] .. ':sum') end}
"""
NAME = "holdfast_test"
LIBRARY = Library(NAME, f"#!lua name={NAME}\nlocal PREFIX = '{prefix_of(NAME)}'\n{BODY}")


@contextlib.asynccontextmanager
async def linked(url: str, *, volatile_ok: bool = False, wait_s: float = BACK_S) -> AsyncIterator[Link]:
    """A link with those functions."""
    link = await Link.connect(Address.parse(url), name="test", volatile_ok=volatile_ok, wait_s=wait_s)
    try:
        await link.load(LIBRARY.source, LIBRARY.name)
        yield link
    finally:
        await link.close()


async def until(holds: Callable[[], bool], wait_s: float = BACK_S) -> None:
    """Return when it is so. Raises: TimeoutError."""
    async with asyncio.timeout(wait_s):
        while not holds():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(LOOK_S)


async def works_again(link: Link, tag: str = "{h1}", wait_s: float = BACK_S) -> object:
    """What `add` of 0 answers as soon as it answers. Raises: TimeoutError."""
    async with asyncio.timeout(wait_s):
        while True:
            with contextlib.suppress(Unavailable):
                return await link.call("add", tag, 0)
            await asyncio.sleep(LOOK_S)


async def failure(link: Link) -> tuple[Unavailable, float]:
    """What a call raises, and after how many seconds; calls are made until one fails."""
    async with asyncio.timeout(BACK_S):
        while True:
            began = time.monotonic()
            try:
                await link.call("add", "{h1}", 1)
            except Unavailable as error:
                return error, time.monotonic() - began
            await asyncio.sleep(LOOK_S)

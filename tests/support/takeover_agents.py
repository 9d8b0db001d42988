"""Agents for tests that take the node away under them: each is found in a state of its own, and one kills its process.

Loaded by the servers with `agent_files`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from holdfast import Context, agent
from holdfast_protocol.transcript import ToolPart, WaitPart
from holdfast_server.agents import Output, ToolArguments, ToolCallBegin, ToolOutput, ToolReady, Wait

DEADLY = "die"
WAIT_ID = "go"
CALLS = "HOLDFAST_TEST_CALLS"
"""The environment's name of the file where a tool writes one line for each time it really runs."""


def counted(words: int) -> str:
    """What the counting agents say."""
    return "".join(f"{number} " for number in range(words))


async def _count(context: Context, done: int) -> AsyncIterator[str]:
    """Options: `words`, `gap_s` between two, and, on the first run only, `first_gap_s` instead, and `linger_s` after the last."""
    options = context.options
    gap_s, linger_s = float(options.get("gap_s", 0.0)), 0.0
    if context.reason == "first":
        gap_s, linger_s = float(options.get("first_gap_s", gap_s)), float(options.get("linger_s", 0.0))
    for number in range(done, int(options.get("words", 10))):
        yield f"{number} "
        await asyncio.sleep(gap_s)
    await asyncio.sleep(linger_s)


@agent(recovery="continue", retries=10)
async def counter(context: Context) -> AsyncIterator[Output | str]:
    """Counts, and goes on from where it stands."""
    async for word in _count(context, len(context.transcript.text.split())):
        yield word


@agent(recovery="restart", retries=10)
async def starter(context: Context) -> AsyncIterator[Output | str]:
    """Counts, and begins again."""
    async for word in _count(context, 0):
        yield word


@agent(recovery="interrupt")
async def careful(context: Context) -> AsyncIterator[Output | str]:
    """Counts, once."""
    async for word in _count(context, 0):
        yield word


def _note(request_id: str) -> None:
    with Path(os.environ[CALLS]).open("a", encoding="utf-8") as calls:
        calls.write(f"{request_id}\n")


@agent(recovery="continue", retries=10)
async def tooler(context: Context) -> AsyncIterator[Output | str]:
    """Calls a tool that must not run twice; where it was cut short it says that it does not know."""
    call = next((part for part in context.transcript.parts if isinstance(part, ToolPart)), None)
    if call is None:
        yield ToolCallBegin("call", "launch")
        yield ToolArguments("call", "{}")
        yield ToolReady("call")
        await asyncio.to_thread(_note, context.request_id)
        await asyncio.sleep(float(context.options.get("linger_s", 0.0)))
        yield ToolOutput("call", "It flies.")
        yield "It flies."
    elif call.state == "called":
        yield ToolOutput("call", "Nobody knows.", is_error=True)
        yield "It may fly."


@agent(recovery="continue", retries=10)
async def waiter(context: Context) -> AsyncIterator[Output | str]:
    """Asks before it goes on."""
    asked = next((part for part in context.transcript.parts if isinstance(part, WaitPart)), None)
    if asked is None:
        yield "May I? "
        yield Wait(WAIT_ID, "approval", {"title": "May I?"}, expires_in_s=600)
    else:
        yield "I may." if asked.granted else "I may not."


@agent(recovery="restart", retries=10)
async def deadly(context: Context) -> AsyncIterator[Output | str]:
    """Ends the process that runs it, without a word, when it is asked to."""
    yield "Here it comes. "
    if context.messages[-1].text == DEADLY:
        os._exit(9)

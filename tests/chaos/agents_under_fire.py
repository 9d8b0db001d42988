"""The agents of a chaos run beside the one that asks the scripted model: one that waits for a person, one that kills its process.

Loaded by the servers with `agent_files`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from holdfast import Context, agent
from holdfast_protocol.transcript import WaitPart
from holdfast_server.agents import Output, Wait

DEADLY = "die"
WAIT_ID = "go"


@agent(recovery="continue", retries=10)
async def waiter(context: Context) -> AsyncIterator[Output | str]:
    """Asks before it goes on."""
    said = context.transcript.text
    asked = next((part for part in context.transcript.parts if isinstance(part, WaitPart)), None)
    if asked is None:
        if not said:
            yield "May I? "
        yield Wait(WAIT_ID, "approval", {"title": "May I?"}, expires_in_s=600)
        return
    last = "I may." if asked.granted else "I may not."
    if not said.endswith(last):
        yield last


@agent(recovery="restart", retries=10)
async def deadly(context: Context) -> AsyncIterator[Output | str]:
    """Ends the process that runs it, without a word, when it is asked to."""
    yield "Here it comes. "
    if context.messages[-1].text == DEADLY:
        os._exit(9)

"""An agent that says more than any store takes, as fast as it may, and notes how far it came. Loaded with `agent_files`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from holdfast import Context, agent

NOTES = "HOLDFAST_TEST_NOTES"
"""The environment's name of the folder where each request's agent notes how many pieces it has handed over."""

PIECE_CHARS = 1000


def poured(number: int) -> str:
    """The piece of that number, from 0."""
    return f"{number:08d} ".ljust(PIECE_CHARS, "~")


@agent(recovery="interrupt")
async def pourer(context: Context) -> AsyncIterator[str]:
    """Options: `pieces`. A file by the request's id grows by one byte for each."""
    with (Path(os.environ[NOTES]) / context.request_id).open("ab", buffering=0) as notes:
        for number in range(int(context.options["pieces"])):
            yield poured(number)
            notes.write(b".")
            await asyncio.sleep(0.002)

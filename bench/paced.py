"""Agents for the bench (`--agent-file`): deltas at a pace, each carrying the time at which it was made."""

from __future__ import annotations

import asyncio
import time

from holdfast_server.agents.authored import agent
from holdfast_server.agents.base import Context

STAMP_CHARS = 16
DELTA_CHARS = 40
FILL = b" " + b"x" * (DELTA_CHARS - STAMP_CHARS - 1)
_FILL = FILL.decode()


def delta(now: float) -> str:
    """A delta of DELTA_CHARS that begins with the time."""
    return f"{now:0{STAMP_CHARS}.5f}{_FILL}"


@agent(name="paced", first_output_s=None, stall_s=None, total_s=None)
async def paced(context: Context):  # type: ignore[no-untyped-def]
    """Options: `deltas`, and `rate` a second (0: as fast as it goes)."""
    rate, deltas = float(context.options["rate"]), int(context.options["deltas"])
    due = time.monotonic()
    for _ in range(deltas):
        if rate:
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        yield delta(time.monotonic())


@agent(name="quiet", first_output_s=None, stall_s=None, total_s=None)
async def quiet(context: Context):  # type: ignore[no-untyped-def]
    """Says one thing and is silent for `silent_s`."""
    yield "It begins."
    await asyncio.sleep(float(context.options["silent_s"]))

"""An agent for the bench of several nodes (`--agent-file`): it speaks for a while and then keeps its answer open."""

from __future__ import annotations

import asyncio
import time

from bench.paced import delta
from holdfast_server.agents.authored import agent
from holdfast_server.agents.base import Context


@agent(name="lingering", first_output_s=None, stall_s=None, total_s=None)
async def lingering(context: Context):  # type: ignore[no-untyped-def]
    """Options: `deltas` at `rate` a second, then `silent_s` of nothing, then the end."""
    options = context.options
    due = time.monotonic()
    for _ in range(int(options["deltas"])):
        due += 1 / float(options["rate"])
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        yield delta(time.monotonic())
    await asyncio.sleep(float(options["silent_s"]))

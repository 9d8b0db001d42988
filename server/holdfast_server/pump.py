"""Takes what one run of an agent yields, turns it into events, and hands these to the writer, no faster than it writes.

While the disk is slow, or a tool runs on the server, the run's clocks rest: its deadlines are the agent's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import structlog

from holdfast_protocol import events as ev

from .agents.base import AgentFailure, End, Finish, Output, Tokens, Wait
from .composer import Composer
from .deadlines import RunClock
from .stores.base import LogWriter
from .usage import usage_of

log = structlog.get_logger(__name__)

FAIR_OUTPUTS: Final = 32
"""After so many outputs the loop gets a turn: an agent that never waits must not stop everybody else."""

FINISHES: Final[frozenset[Finish]] = frozenset({"stop", "length", "tool_calls", "content_filter"})


class Pump:
    """For one run of the agent. `over` says whether the request has ended elsewhere: nothing is written from then on."""

    def __init__(
        self,
        composer: Composer,
        writer: LogWriter,
        clock: RunClock,
        *,
        now_ms: Callable[[], int],
        over: Callable[[], bool],
    ) -> None:
        self._composer = composer
        self._writer = writer
        self._clock = clock
        self._now_ms = now_ms
        self._over = over

    async def take(self, outputs: AsyncIterator[Output]) -> Finish | Wait:
        """Take outputs until there are no more; how the agent says it ended, or what it waits for. Raises: AgentFailure,
        whatever the agent raises, and what a writer's `room` does. Then `close` them."""
        finish: Finish = "stop"
        count = 0
        composer, writer, clock, now = self._composer, self._writer, self._clock, self._now_ms
        async for output in outputs:
            if self._over():  # cancelled, and yet it speaks: nobody will see it, but what it used up counts
                if not isinstance(output, Tokens):
                    break
                composer.tokens = usage_of(output, now())
                continue
            if isinstance(output, Wait):
                return output
            if isinstance(output, End):
                if output.finish not in FINISHES:
                    raise AgentFailure(
                        "invalid_output", f"The agent ended as {output.finish!r}, which is not known."
                    )
                finish = output.finish
                continue
            events = composer.compose(output, now())
            if events:
                clock.output()
                for event in events:
                    writer.put(event)
                    if isinstance(event, ev.PartDone | ev.ToolResult):
                        self._rest(output)
            if writer.congested:
                clock.rest("room")  # the disk is slow, not the agent
                await writer.room()
                clock.go_on("room")
            count += 1
            if count % FAIR_OUTPUTS == 0:
                await asyncio.sleep(0)
        return finish

    def _rest(self, output: Output) -> None:
        """A tool that runs on the server has a deadline of its own: ours rest."""
        call_id = getattr(output, "call_id", None)
        if call_id is None:
            return
        if self._composer.tool_runs(call_id):
            self._clock.rest(f"tool:{call_id}")
        else:
            self._clock.go_on(f"tool:{call_id}")


async def close(outputs: Any, request_id: str) -> None:
    """End a generator that was left in its middle; what it raises on the way changes nothing."""
    aclose = getattr(outputs, "aclose", None)
    if aclose is None:
        return
    try:
        await aclose()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        log.warning("the agent cancelled itself while it closed", request=request_id)
    except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001 - its request has its outcome without this
        log.warning("the agent did not close in order", request=request_id, error=repr(error))

"""The agents of a simulated server, over an upstream that outlives it: it fails as the seed says, and logs every call.

Three agents, one per recovery: `restart` begins anew (from its last checkpoint, if it marks them), `continues` goes on
where the text ends, `once` is not run twice. What they say is words.section_text; the request's options say how many
sections, and what lies between them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any, Final

from holdfast_protocol.transcript import TextPart
from holdfast_server.agents.base import (
    AgentFailure,
    Clocks,
    Context,
    Mark,
    Output,
    Profile,
    Reasoning,
    Step,
    Text,
    Tokens,
    ToolArguments,
    ToolCallBegin,
    ToolOutput,
    ToolReady,
    Value,
    Wait,
)  # fmt: skip
from holdfast_server.stores.base import key_of
from tests.simulation.evidence import Call
from tests.simulation.words import section_text
from tests.support.faults import Faults

CLOCKS: Final = Clocks(first_output_s=3.0, stall_s=3.0, total_s=60.0)
"""Short, so that an upstream that hangs costs a run few turns."""

PROFILES: Final = {
    "restart": Profile(name="restart", recovery="restart", retries=8, clocks=CLOCKS),
    "continues": Profile(name="continues", recovery="continue", retries=8, clocks=CLOCKS),
    "once": Profile(name="once", recovery="interrupt", retries=2, clocks=CLOCKS),
}


class Upstream:
    """What is outside of all server processes."""

    def __init__(self, seed: int, faults: Faults, loop: asyncio.AbstractEventLoop) -> None:
        self.calls: list[Call] = []
        self.faults = faults
        self.loop = loop
        self.seed = seed


class SimAgent:
    """One agent of one server process."""

    def __init__(self, profile: Profile, upstream: Upstream, boot: int) -> None:
        self.profile = profile
        self._upstream = upstream
        self._boot = boot

    async def close(self) -> None:
        pass

    async def run(self, context: Context) -> AsyncIterator[Output]:
        upstream = self._upstream
        call = Call(
            key=key_of(context.owner, context.request_id), attempt=context.attempt, reason=context.reason,
            boot=self._boot, began_at=upstream.loop.time(), seen=tuple(item.id for item in context.inputs),
        )  # fmt: skip
        upstream.calls.append(call)
        dice = random.Random(f"call:{upstream.seed}:{len(upstream.calls)}")
        try:
            async for output in self._answer(context, dice):
                call.outputs += 1
                if isinstance(output, Wait):
                    call.how = "waits"
                yield output
            if call.how == "open":
                call.how = "done"
        except AgentFailure:
            call.how = "failed"
            raise
        except (asyncio.CancelledError, GeneratorExit):
            if call.how == "open":
                call.how = "cancelled"
            raise
        except Exception:
            call.how = "bug"
            raise
        finally:
            call.ended_at = upstream.loop.time()

    async def _answer(self, context: Context, dice: random.Random) -> AsyncIterator[Output]:
        faults, options = self._upstream.faults, context.options
        await asyncio.sleep(faults.delay("upstream.first"))
        if faults.fault("upstream.refuses"):
            raise AgentFailure(
                "overloaded", "Too many.", retryable=True, retry_after_s=dice.choice([None, 0.1, 1.0])
            )
        if options.get("think") and not context.transcript.parts:
            yield Reasoning(f"thinking about {context.request_id} …")
        texts = [part for part in context.transcript.parts if isinstance(part, TextPart)]
        key = key_text(context.owner.user, context.request_id)
        attempt = 0 if self.profile.recovery == "continue" else context.attempt
        for section in range(options["sections"]):
            if section == 1:
                wait = self._wait(context, options.get("wait"))
                if wait is not None:
                    yield wait
                    return
            text = section_text(key, section, attempt)
            if section < len(texts):
                if attempt or texts[section].text == text:
                    continue
                text = text[len(texts[section].text) :]  # goes on within the open part
            elif options.get("tool"):
                async for output in _tool(f"t{section}-{len(self._upstream.calls)}", faults):
                    yield output
            async for output in self._say(text, dice, new_part=section >= len(texts)):
                yield output
            if options.get("mark"):
                yield Mark()
            yield Step("sections", f"section {section}", step=section + 1, total=options["sections"])
        yield Value("sum", "sections", {"sections": options["sections"]})
        yield Tokens(input_tokens=7, output_tokens=3)

    async def _say(self, text: str, dice: random.Random, *, new_part: bool) -> AsyncIterator[Output]:
        faults = self._upstream.faults
        while text:
            size = dice.randint(1, 12)
            chunk, text = text[:size], text[size:]
            yield Text(chunk, new_part=new_part)
            new_part = False
            await asyncio.sleep(faults.delay("upstream.chunk"))
            if faults.fault("upstream.breaks"):
                raise AgentFailure("broken", "The connection broke.", retryable=True)
            if faults.fault("upstream.refuses_late"):
                raise AgentFailure("refused", "Content refused.")
            if faults.fault("upstream.stalls"):
                await asyncio.sleep(1e6)
            if faults.fault("upstream.garbage"):
                garbage: Any = b"\xff"
                yield Text(garbage)
            if faults.fault("upstream.bug"):
                raise ZeroDivisionError("a bug in the simulated agent")

    def _wait(self, context: Context, kind: str | None) -> Wait | None:
        """What the second section waits for, if it has not come."""
        if kind is None or context.inputs:
            return None
        if kind == "steer":  # only an input that is no decision ends this wait
            return Wait("steer", "steer", {"ask": "go on?"})
        return Wait("ask", "person", {"ask": context.request_id}, expires_in_s=context.options.get("expires"))


async def _tool(call_id: str, faults: Faults) -> AsyncIterator[Output]:
    yield ToolCallBegin(call_id, "look_up")
    yield ToolArguments(call_id, '{"q":')
    yield ToolArguments(call_id, ' "é"}')
    yield ToolReady(call_id)
    await asyncio.sleep(faults.delay("upstream.tool"))
    yield ToolOutput(call_id, "found: 漢")


def key_text(user: str, request_id: str) -> str:
    """How a section's head names its request."""
    return f"{user}/{request_id}"

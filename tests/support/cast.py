"""Agents that play what their prompt says: everything that an answer can hold, in the words that a test chooses.

An agent file: `agent_files = ["…/tests/support/cast.py"]`. A prompt made by `play(...)` carries a list of outputs as JSON after
a line `#play:`; `player` yields them in order. `brief` answers at once and shortly, for long chats. `stranger` has a
description that nobody should trust.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from holdfast_server.agents import (
    AgentFailure,
    Attach,
    Cite,
    Context,
    Output,
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
    agent,
)

FILE = Path(__file__).resolve()
MARK = "#play:"
PIECE_CHARS = 3  # of a text: small, so that most of what is parsed is parsed while it is incomplete
NASTY = '<img src=x onerror="alert(1)"> [press](javascript:alert(1))'


def play(title: str, *outputs: tuple[Any, ...]) -> str:
    """The prompt that lets `player` yield these: ("text", words), ("reasoning", words), ("tool", name, arguments, result),
    ("step", label, percent), ("cite", url, title), ("attach", url, media type, name), ("value", name, data), ("wait", body),
    ("fail", code, message), ("rest", seconds). A tool without a result goes on running."""
    return f"{title}\n{MARK}\n{json.dumps(outputs)}"


def cast_toml(*, base_url: str = "", extra: str = "") -> str:
    """A configuration with these agents, `player` the default; with an address the scripted `model` as well."""
    model = (
        f'[agents.model]\nkind = "openai_chat"\nmodel = "scripted"\nbase_url = "{base_url}"\napi_key = "unused"\n'
        if base_url
        else ""
    )
    return f'agent_files = ["{FILE}"]\ndefault_agent = "player"\n{extra}\n{model}'


@agent(name="player", description="Plays what it is told.")
async def player(context: Context) -> AsyncIterator[Output]:
    """What the newest prompt says; to a decision, and to a prompt that says nothing, a sentence."""
    if context.inputs:
        yield Text("Thank you for deciding.")
        return
    prompt = next((one.text for one in reversed(context.messages) if one.role == "user"), "")
    _, mark, told = prompt.partition(f"\n{MARK}\n")
    if not mark:
        yield Text(f"You said: {prompt}")
        return
    for place, (kind, *rest) in enumerate(json.loads(told)):
        if kind == "rest":
            await asyncio.sleep(rest[0])
        elif kind == "fail":
            raise AgentFailure(rest[0], rest[1])
        else:
            for output in _outputs(kind, f"{kind}-{place}", rest):
                yield output
                await asyncio.sleep(0)
    yield Tokens(input_tokens=120, output_tokens=450)


def _outputs(kind: str, name: str, rest: list[Any]) -> list[Output]:
    match kind:
        case "text":
            pieces = [rest[0][start : start + PIECE_CHARS] for start in range(0, len(rest[0]), PIECE_CHARS)]
            return [Text(piece, new_part=at == 0) for at, piece in enumerate(pieces)]
        case "reasoning":
            return [Reasoning(rest[0])]
        case "tool":
            begun: list[Output] = [
                ToolCallBegin(name, rest[0]),
                ToolArguments(name, rest[1]),
                ToolReady(name),
            ]
            return [*begun, *(ToolOutput(name, result) for result in rest[2:])]
        case "step":
            return [Step(name, rest[0], percent=rest[1], state="running" if rest[1] < 100 else "done")]
        case "cite":
            return [Cite(name, rest[0], rest[1])]
        case "attach":
            return [Attach(name, rest[0], rest[1], rest[2])]
        case "value":
            return [Value(name, rest[0], rest[1])]
        case "wait":
            return [Wait(name, "approval", rest[0], 3600.0)]
    raise AgentFailure("play", f"There is no output {kind!r}.")


@agent(name="brief", description="One short answer, at once.")
async def brief(context: Context) -> AsyncIterator[Output]:
    """A paragraph whose length depends on the question's, so that rows are of many heights."""
    prompt = context.messages[-1].text
    yield Text(f"On {prompt}: " + "so it is, and so it stays. " * (1 + len(prompt) * 7 % 11))


@agent(name="stranger", description=NASTY)
async def stranger(context: Context) -> AsyncIterator[Output]:
    """Says who it is."""
    yield Text("I am a stranger.")

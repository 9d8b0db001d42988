"""The demo agent: works offline, and says so. It shows everything that an answer can hold, at a reading pace.

What it says follows from the question and the options alone (demo_script.py), so the same request gives the same text,
and an answer that was cut off can be gone on with where it stands.

Options: `pace` (words per second; 0: as fast as it goes), `words` (a plain answer of so many words), `seed`. A question
with the word "approve" in it asks for permission first; one with the word "fail" fails at its end. With `tools`, a question
that names one of them has it called, to be run by whoever brought it; a conversation that ends with a tool's result is
answered with what the tool said. Options that only shape how a model draws its words are taken and change nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from holdfast_protocol.transcript import Transcript, WaitPart, permits

from .base import (
    AgentFailure,
    Context,
    End,
    Finish,
    Output,
    Profile,
    Reasoning,
    Text,
    Tokens,
    ToolArguments,
    Wait,
)
from .demo_script import INTRO, Standing, bounded, full, plain_words
from .demo_tools import Offered, call, chosen, offered, results

PACE: Final = 40.0
"""Words per second: quick, and still to be seen that it streams."""

PACE_MAX: Final = 100_000.0
WORDS_MAX: Final = 200_000
"""About 1.2 MB: below the bound on an answer."""

OTHER_WORDS: Final = 4
"""What an output without words counts for in the pace: a step is on the screen for a moment."""

WAIT_ID: Final = "demo-approval"
APPROVAL_S: Final = 24 * 3600.0

NUMBERS: Final = frozenset({"pace", "words", "seed"})
"""The demo's own."""

IDLE: Final[dict[str, type]] = {
    "frequency_penalty": float,
    "parallel_tool_calls": bool,
    "presence_penalty": float,
    "reasoning_effort": str,
    "temperature": float,
    "top_p": float,
}
"""Taken, because clients send them unasked, and true without doing anything: a script draws no words, and never calls two
tools at once."""

BOUNDS: Final = frozenset({"max_tokens", "max_completion_tokens"})
"""So many words of text and thought; a word is a token here."""

OPTIONS: Final = NUMBERS | IDLE.keys() | BOUNDS | {"response_format", "tool_choice", "tools"}

PROFILE: Final = Profile(
    name="demo", description="Works offline and says so: for trying things out.", recovery="continue",
    options=OPTIONS,
)  # fmt: skip


class Options(NamedTuple):
    """What a request may set."""

    pace: float
    words: int | None
    seed: int
    words_max: int | None
    tools: list[Offered]
    tool_choice: Any


class DemoAgent:
    """See the module's text. `pace` is the default of the option."""

    def __init__(self, profile: Profile = PROFILE, *, pace: float = PACE) -> None:
        self.profile = replace(profile, options=OPTIONS)
        self._pace = pace

    async def run(self, context: Context) -> AsyncIterator[Output]:
        """Yield the script, less what stands already."""
        options = _options(context.options, self._pace)
        question = next(
            (message.text for message in reversed(context.messages) if message.role == "user"), ""
        )
        script = _short_script(context, options, question)
        rich = script is None
        if script is None:
            granted: bool | None = None
            if re.search(r"\bapprove", question, re.IGNORECASE):
                decision = next(
                    (item for item in context.inputs if item.kind == "decision" and item.id == WAIT_ID), None
                )
                # Words that the bound leaves no room for are not said before the question either.
                fits = options.words_max is None or options.words_max >= len(INTRO.split())
                if fits and decision is None and not _expired(context.transcript):
                    if not context.transcript.text:
                        yield Text(INTRO)
                    yield Wait(
                        WAIT_ID,
                        "approval",
                        {"title": "May the demo count words?", "tool": "count_words"},
                        APPROVAL_S,
                    )
                    return
                granted = decision is not None and permits(decision.value)
            script = full(question, options.seed, granted)
        if options.words_max is not None:
            script = bounded(script, options.words_max)
        stands = Standing(context.transcript)
        said = 0
        finish: Finish = "stop"
        for output in script:
            if isinstance(output, End):
                finish = output.finish
                continue
            rest = stands.less(output)
            if rest is None:
                continue
            yield rest
            words = (
                len(rest.text.split()) if isinstance(rest, Text | Reasoning | ToolArguments) else OTHER_WORDS
            )
            said += words
            if options.pace:
                await asyncio.sleep(max(1, words) / options.pace)
        if rich and finish == "stop" and re.search(r"\bfail\b", question, re.IGNORECASE):
            raise AgentFailure(
                "demo_failure", "The demo was asked to fail, so it did; what was shown stands."
            )
        yield Tokens(input_tokens=len(question.split()), output_tokens=said, estimated=True)
        yield End(finish)

    async def close(self) -> None:
        """Holds nothing."""


def _short_script(context: Context, options: Options, question: str) -> Iterator[Output] | None:
    """What is said where the request asks for something else than the whole show. Raises: AgentFailure."""
    messages = context.messages
    if messages and messages[-1].role == "tool":
        return results(messages)
    tool = chosen(options.tools, options.tool_choice, question)
    if tool is not None:
        return call(tool, messages)
    return plain_words(options.words, options.seed) if options.words is not None else None


def _options(given: dict[str, Any], pace: float) -> Options:
    """Raises: AgentFailure for an option that is not known, out of range, or cannot be kept to. Null is not given."""
    unknown = sorted(given.keys() - OPTIONS)
    if unknown:
        raise AgentFailure(
            "bad_option", f"The demo has no option {unknown[0]!r}; it has {', '.join(sorted(OPTIONS))}."
        )
    given = {key: value for key, value in given.items() if value is not None}
    for key, value in given.items():
        _check_kind(key, value)
    options = Options(
        pace=float(given.get("pace", pace)),
        words=int(given["words"]) if "words" in given else None,
        seed=int(given.get("seed", 0)),
        words_max=min((given[key] for key in BOUNDS if key in given), default=None),
        tools=offered(given.get("tools", [])),
        tool_choice=given.get("tool_choice", "auto"),
    )
    if not 0 <= options.pace <= PACE_MAX:
        raise AgentFailure("bad_option", f"The option pace is between 0 and {PACE_MAX:g} words per second.")
    if not 0 <= (options.words or 0) <= WORDS_MAX:
        raise AgentFailure("bad_option", f"The option words is between 0 and {WORDS_MAX}.")
    return options


def _check_kind(key: str, value: Any) -> None:
    """Raises: AgentFailure."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if key in BOUNDS and (not isinstance(value, int) or not number or value < 1):
        raise AgentFailure("bad_option", f"The option {key} is a whole number from 1 on.")
    if (key in NUMBERS or IDLE.get(key) is float) and not number:
        raise AgentFailure("bad_option", f"The option {key} is a number.")
    if IDLE.get(key) is bool and not isinstance(value, bool):
        raise AgentFailure("bad_option", f"The option {key} is true or false.")
    if IDLE.get(key) is str and not isinstance(value, str):
        raise AgentFailure("bad_option", f"The option {key} is a word.")
    if key == "response_format" and value != {"type": "text"}:
        raise AgentFailure("bad_option", "The demo answers in text; it knows no other response_format.")


def _expired(transcript: Transcript) -> bool:
    return any(isinstance(part, WaitPart) and part.state == "expired" for part in transcript.parts)

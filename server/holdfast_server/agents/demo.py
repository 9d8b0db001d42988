"""The demo agent: works offline, and says so. It shows everything that an answer can hold, at a reading pace.

What it says follows from the question and the options alone (demo_script.py), so the same request gives the same text,
and an answer that was cut off can be gone on with where it stands.

Options: `pace` (words per second; 0: as fast as it goes), `words` (a plain answer of so many words), `seed`. A question
with the word "approve" in it asks for permission first; one with the word "fail" fails at its end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

from holdfast_protocol.transcript import Transcript, WaitPart, permits

from .base import AgentFailure, Context, Output, Profile, Reasoning, Text, Tokens, ToolArguments, Wait
from .demo_script import INTRO, Standing, full, plain_words

PACE: Final = 40.0
"""Words per second: quick, and still to be seen that it streams."""

PACE_MAX: Final = 100_000.0
WORDS_MAX: Final = 200_000
"""About 1.2 MB: below the bound on an answer."""

OTHER_WORDS: Final = 4
"""What an output without words counts for in the pace: a step is on the screen for a moment."""

WAIT_ID: Final = "demo-approval"
APPROVAL_S: Final = 24 * 3600.0

PROFILE: Final = Profile(
    name="demo", description="Works offline and says so: for trying things out.", recovery="continue"
)


class Options(NamedTuple):
    """What a request may set."""

    pace: float
    words: int | None
    seed: int


class DemoAgent:
    """See the module's text. `pace` is the default of the option."""

    def __init__(self, profile: Profile = PROFILE, *, pace: float = PACE) -> None:
        self.profile = profile
        self._pace = pace

    async def run(self, context: Context) -> AsyncIterator[Output]:
        """Yield the script, less what stands already."""
        options = _options(context.options, self._pace)
        question = next(
            (message.text for message in reversed(context.messages) if message.role == "user"), ""
        )
        rich = options.words is None
        granted: bool | None = None
        if rich and re.search(r"\bapprove", question, re.IGNORECASE):
            decision = next(
                (item for item in context.inputs if item.kind == "decision" and item.id == WAIT_ID), None
            )
            if decision is None and not _expired(context.transcript):
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
        script = (
            plain_words(options.words, options.seed)
            if options.words is not None
            else full(question, options.seed, granted)
        )
        stands = Standing(context.transcript)
        said = 0
        for output in script:
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
        if rich and re.search(r"\bfail\b", question, re.IGNORECASE):
            raise AgentFailure(
                "demo_failure", "The demo was asked to fail, so it did; what was shown stands."
            )
        yield Tokens(input_tokens=len(question.split()), output_tokens=said, estimated=True)

    async def close(self) -> None:
        """Holds nothing."""


def _options(given: dict[str, Any], pace: float) -> Options:
    """Raises: AgentFailure for an option that is not known or out of range."""
    unknown = sorted(given.keys() - {"pace", "words", "seed"})
    if unknown:
        raise AgentFailure(
            "bad_option", f"The demo has no option {unknown[0]!r}; it has pace, words and seed."
        )
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise AgentFailure("bad_option", f"The option {key} is a number.")
    options = Options(
        pace=float(given.get("pace", pace)),
        words=int(given["words"]) if "words" in given else None,
        seed=int(given.get("seed", 0)),
    )
    if not 0 <= options.pace <= PACE_MAX:
        raise AgentFailure("bad_option", f"The option pace is between 0 and {PACE_MAX:g} words per second.")
    if not 0 <= (options.words or 0) <= WORDS_MAX:
        raise AgentFailure("bad_option", f"The option words is between 0 and {WORDS_MAX}.")
    return options


def _expired(transcript: Transcript) -> bool:
    return any(isinstance(part, WaitPart) and part.state == "expired" for part in transcript.parts)

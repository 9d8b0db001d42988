"""What the demo agent says: a list of outputs that follows from the question alone, and what is left of it to say."""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from holdfast_protocol.transcript import ProgressPart, ReasoningPart, TextPart, ToolPart, Transcript

from .base import (
    Cite,
    End,
    Mark,
    Output,
    Reasoning,
    Step,
    Text,
    ToolArguments,
    ToolCallBegin,
    ToolOutput,
    ToolReady,
    Value,
)

INTRO: Final = (
    "This is the demo agent, and nothing will happen really; but permission is asked for first.\n\n"
)
CALL_ID: Final = "demo-count-words"
QUOTE_CHARS_MAX: Final = 280
STEPS: Final = 3

_WORDS: Final = re.findall(
    r"\w+",
    "an answer holds fast while the line is gone and comes back whole in order once to every reader who asks from the "
    "place where it stopped reading for the journal keeps each word",
)
"""Plain filler, so that nobody takes it for knowledge."""

_OPENINGS: Final = (
    "No model was asked: these words come with the server, so that you can see how an answer travels.",
    "There is no model behind this. It is a script that ships with the server and shows what an answer can hold.",
    "I am a script and know nothing. But I can show you everything that an answer may be made of.",
)

_TRIES: Final = (
    "Reload the page in the middle of this sentence: it goes on where it stood.",
    "Open this chat on a second device now: both show the same words.",
    "Close the laptop, wait, and open it again: the rest will be there.",
    "Stop the server hard and start it again: what was shown stands, and the answer goes on.",
)

_CODE: Final = """\
```python
from holdfast_server.agents import Context, agent


@agent(name="echo", description="Says it again, word by word.")
async def echo(context: Context):
    for word in context.messages[-1].text.split():
        yield word + " "
```

"""

_TABLE: Final = """\
| what happens | what you lose |
| --- | --- |
| the connection breaks | nothing |
| the page is reloaded | nothing |
| the server is killed | the words that nobody had seen |

"""

_MATHS: Final = (
    "With $n$ words at a pace of $v$ words per second the answer takes\n\n$$t = \\frac{n}{v}$$\n\n"
    "however often you look away.\n"
)


def plain_words(count: int, seed: int) -> Iterator[Output]:
    """So many words of filler."""
    dice = random.Random(seed)  # noqa: S311 - the same seed gives the same words; nothing secret hangs on it
    for number in range(1, count + 1):
        word = _WORDS[int(dice.random() * len(_WORDS))]
        yield Text(word + ("\n\n" if number % 60 == 0 else " "))


def full(question: str, seed: int, granted: bool | None) -> Iterator[Output]:
    """Everything that an answer can hold. `granted`: what a person decided, if one was asked."""
    question = " ".join(question.split()) or "(nothing)"
    dice = random.Random(zlib.crc32(question.encode(errors="replace")) + seed)  # noqa: S311 - as above
    words = len(question.split())
    if granted is not None:
        yield from _spoken(INTRO)
    yield Step("demo", "Reading the question", step=1, total=STEPS, percent=0.0)
    counted, long = _count(words, "word"), _count(len(question), "character")
    thought = (
        f"The question has {counted}. A demo need not understand it, but it can count. Let me use a tool."
    )
    for piece in _pieces(thought):
        yield Reasoning(piece)
    if granted is False:
        yield Step("demo", "Not permitted", step=1, total=STEPS, state="failed")
        yield from _spoken("You did not permit it, so nothing was counted.\n")
        return
    yield Step("demo", "Counting words", step=2, total=STEPS, percent=33.0)
    yield ToolCallBegin(CALL_ID, "count_words")
    for piece in _pieces(json.dumps({"text": question[:QUOTE_CHARS_MAX]}, ensure_ascii=False)):
        yield ToolArguments(CALL_ID, piece)
    yield ToolReady(CALL_ID)
    yield ToolOutput(CALL_ID, json.dumps({"words": words, "characters": len(question)}))
    yield Mark()
    yield Step("demo", "Writing", step=3, total=STEPS, percent=66.0)
    quote = question if len(question) <= QUOTE_CHARS_MAX else question[: QUOTE_CHARS_MAX - 1] + "…"
    yield from _spoken(f"## The demo answers\n\n{dice.choice(_OPENINGS)}\n\nYou wrote:\n\n> {quote}\n\n")
    yield from _spoken(f"That is **{counted}** and {long}; the tool call above has counted.\n\n")
    yield Value("demo-count", "word_count", {"words": words, "characters": len(question)})
    tries = dice.sample(_TRIES, 3)
    yield from _spoken(
        "### Try to lose it\n\n" + "".join(f"{n}. {text}\n" for n, text in enumerate(tries, 1)) + "\n"
    )
    yield from _spoken("### An agent of your own\n\nA few lines of Python are enough:\n\n" + _CODE)
    yield Cite("demo-agents", "https://docs.python.org/3/reference/expressions.html#asynchronous-generator-functions", "Asynchronous generator functions")  # fmt: skip
    yield from _spoken("### What survives\n\n" + _TABLE + "### How long it takes\n\n" + _MATHS)
    yield Step("demo", "Done", step=STEPS, total=STEPS, percent=100.0, state="done")


def bounded(script: Iterator[Output], words_max: int) -> Iterator[Output]:
    """The script up to so many words of text and thought; where it is cut, it ends as `length`."""
    words, step = 0, None
    for output in script:
        if isinstance(output, Step):
            step = output
        if isinstance(output, Text | Reasoning):
            words += len(output.text.split())
            if words > words_max:
                if step is not None and step.state == "running":
                    yield replace(step, label="Cut short", state="done")
                yield End("length")
                return
        yield output


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _spoken(text: str) -> Iterator[Output]:
    for piece in _pieces(text):
        yield Text(piece)


def _pieces(text: str) -> list[str]:
    """Word by word, each with the space behind it."""
    return re.findall(r"\S+\s*|\s+", text)


class Standing:
    """What of a script stands in a transcript already; `less` takes it off, output by output, in order."""

    def __init__(self, transcript: Transcript) -> None:
        parts = transcript.parts
        self._text = sum(len(part.text) for part in parts if isinstance(part, TextPart))
        self._reasoning = sum(len(part.text) for part in parts if isinstance(part, ReasoningPart))
        self._tools = {part.call_id: part for part in parts if isinstance(part, ToolPart)}
        self._arguments = {call_id: len(part.arguments) for call_id, part in self._tools.items()}
        self._steps = {part.id: part for part in parts if isinstance(part, ProgressPart)}
        self._marked = bool(transcript.checkpoints)

    def less(self, output: Output) -> Output | None:
        """What is left of this output; None if it stands."""
        match output:
            case Text(text):
                taken = min(self._text, len(text))
                self._text -= taken
                return Text(text[taken:]) if taken < len(text) else None
            case Reasoning(text):
                taken = min(self._reasoning, len(text))
                self._reasoning -= taken
                return Reasoning(text[taken:]) if taken < len(text) else None
            case ToolArguments(call_id, text):
                taken = min(self._arguments.get(call_id, 0), len(text))
                if taken:
                    self._arguments[call_id] -= taken
                return ToolArguments(call_id, text[taken:]) if taken < len(text) else None
            case ToolCallBegin(call_id):
                return None if call_id in self._tools else output
            case ToolReady(call_id):
                return None if self._is(call_id, "called", "done", "failed") else output
            case ToolOutput(call_id):
                return None if self._is(call_id, "done", "failed") else output
            case Step(id=id_):
                known = self._steps.get(id_)
                stands = known is not None and (
                    known.state != "running" or (known.step or 0) >= (output.step or 0)
                )
                return None if stands and output.state == "running" else output
            case Mark():
                return None if self._marked else output
        return output

    def _is(self, call_id: str, *states: str) -> bool:
        part = self._tools.get(call_id)
        return part is not None and part.state in states

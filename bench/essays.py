"""Agents for the bench of the page (`--agent-file`): long answers of one form, a word a delta, that halt where they are told to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from holdfast_server.agents.authored import agent
from holdfast_server.agents.base import Context

LOOK_S = 0.02  # how often a halted answer looks whether it may go on
HURRY_DELTAS = 40
HURRY_S = (
    0.01  # between stretches: four thousand words a second, so that most deltas stay events of their own
)

_TEXT = """the answer holds fast while a page follows it word by word and nothing that was shown before is touched again
because what is closed stays closed until the reader scrolls back to find an earlier line of the same long text"""
_WORDS = tuple(re.findall(r"\w+", _TEXT))


@agent(name="essay", first_output_s=None, stall_s=None, total_s=None)
async def essay(context: Context):  # type: ignore[no-untyped-def]
    """Options: `form`; `stops`, counts of words; `paced`, how many words after a stop come at `rate` a second; `gates`, a
    folder. It writes `at-N` there when it has come to a stop, and says its paced words when there is `go-N`; then it writes
    `done-N`, and goes on to the next stop, quickly, when there is `leave-N`."""
    options = context.options
    gates, rate, paced = Path(str(options["gates"])), float(options["rate"]), int(options["paced"])
    words = tokens(str(options["form"]))
    said = 0
    for stop in options["stops"]:
        while said < stop:
            yield next(words)
            said += 1
            if said % HURRY_DELTAS == 0:
                await asyncio.sleep(HURRY_S)
        await _halt(gates, f"at-{stop}", f"go-{stop}")
        due = asyncio.get_running_loop().time()
        for _ in range(paced):
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            yield next(words)
            said += 1
        await _halt(gates, f"done-{stop}", f"leave-{stop}")


async def _halt(gates: Path, here: str, until: str) -> None:
    (gates / here).touch()
    gate = gates / until
    while not gate.exists():  # noqa: ASYNC110 - another process opens it
        await asyncio.sleep(LOOK_S)


@agent(name="told", first_output_s=None, stall_s=None, total_s=None)
async def told(context: Context):  # type: ignore[no-untyped-def]
    """Options: `form`, `words`: all of them in a few deltas."""
    words = tokens(str(context.options["form"]))
    left = int(context.options["words"])
    while left > 0:
        some = min(left, 500)
        yield "".join(next(words) for _ in range(some))
        left -= some


def tokens(form: str) -> Iterator[str]:
    """Words of that form for ever, each with what stands before and after it."""
    words = cycle(_WORDS)
    return _WRITERS.get(form, _prose)(words)


def _prose(words: Iterator[str]) -> Iterator[str]:
    for paragraph in cycle(range(1, 10_000)):
        if paragraph % 5 == 1:
            yield f"## {next(words)} {paragraph}\n\n"
        for word in range(60):
            yield _marked(next(words), word)
        yield f"{next(words)}.\n\n"


def _code(words: Iterator[str]) -> Iterator[str]:
    yield "```python\n"
    for line in cycle(range(1, 10_000)):
        yield f"value_{line} = "
        yield f"{next(words)}_of("
        yield f'"{next(words)}", '
        yield f"{line}, "
        yield f"{next(words)}=True)  "
        yield f"# {next(words)} "
        yield f"{next(words)}\n"


def _table(words: Iterator[str]) -> Iterator[str]:
    yield "| word | the next | one more | and so on |\n| --- | --- | --- | ---: |\n"
    while True:
        yield f"| {next(words)} "
        yield f"{next(words)} "
        yield f"| {next(words)} "
        yield f"{next(words)} "
        yield f"| {next(words)} "
        yield f"| {next(words)} |\n"


def _list(words: Iterator[str]) -> Iterator[str]:
    while True:
        yield f"- {next(words)} "
        for _ in range(12):
            yield f"{next(words)} "
        yield f"{next(words)}.\n"


def _paragraph(words: Iterator[str]) -> Iterator[str]:
    return (f"{word} " for word in words)


_WRITERS = {"prose": _prose, "code": _code, "table": _table, "list": _list, "paragraph": _paragraph}
FORMS = tuple(_WRITERS)


def _marked(word: str, number: int) -> str:
    """Some of what people are written: mostly plain, now and then marked up."""
    match number % 20:
        case 7:
            return f"**{word}** "
        case 13:
            return f"`{word}` "
        case 17:
            return f"[{word}](https://example.org/{word}) "
        case _:
            return f"{word} "

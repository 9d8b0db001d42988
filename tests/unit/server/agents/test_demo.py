"""The demo agent: rich, paced, honest."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast_protocol.transcript import (
    DataPart,
    ProgressPart,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolPart,
    Transcript,
)
from holdfast_server.agents import DemoAgent, Profile
from tests.support.runs import Bench, simulate
from tests.support.simloop import SimLoop


def ask(text: str, **options: Any) -> tuple[Transcript, float]:
    async def main(bench: Bench) -> tuple[Transcript, float]:
        start = bench.sim.time()
        key = await bench.submit(text, options=options)
        await (await bench.log(key)).wait_sealed()
        return await bench.sealed(key), bench.sim.time() - start

    return simulate(DemoAgent(Profile(name="demo", recovery="continue")), main)


def test_it_shows_everything_and_says_what_it_is():
    """Reasoning, steps that count up, a tool with its result, a citation, a value, and Markdown with all its blocks."""
    transcript, took_s = ask("How are   you?")
    assert transcript.status == "completed"
    kinds = {type(part) for part in transcript.parts}
    assert kinds == {TextPart, ReasoningPart, ToolPart, ProgressPart, SourcePart, DataPart}
    assert "demo" in transcript.text
    for block in ("## ", "1. ", "```python", "| --- |", "$$", "> How are you?", "**3 words**"):
        assert block in transcript.text
    (call,) = [part for part in transcript.parts if isinstance(part, ToolPart)]
    assert (call.state, call.result) == ("done", '{"words": 3, "characters": 12}')
    (step,) = [part for part in transcript.parts if isinstance(part, ProgressPart)]
    assert (step.state, step.step, step.total, step.percent) == ("done", 3, 3, 100.0)
    assert transcript.usage is not None
    assert transcript.usage.estimated
    assert 4 < took_s < 15  # a pleasant pace, and not a long wait


def test_it_counts_as_people_do():
    """One word is not "1 words"."""
    transcript, _ = ask("?", pace=0)
    assert "That is **1 word** and 1 character; " in transcript.text
    thought = next(part.text for part in transcript.parts if isinstance(part, ReasoningPart))
    assert "The question has 1 word. " in thought


def test_answers_vary_with_the_question():
    """Another question is answered otherwise; the same one alike."""
    assert ask("One?", pace=0)[0].text == ask("One?", pace=0)[0].text
    assert ask("One?", pace=0)[0].text != ask("Another?", pace=0)[0].text


def test_a_plain_answer_has_so_many_words_at_its_pace():
    """For tests and benches: exactly so many words, as fast as asked."""
    transcript, took_s = ask("Go.", words=500, pace=100)
    assert len(transcript.text.split()) == 500
    assert took_s == pytest.approx(5.0, abs=0.1)
    assert ask("Go.", words=500, pace=0)[1] == pytest.approx(0, abs=0.01)


def test_a_question_with_markup_stays_one_quote():
    """Line breaks of the question do not end the quote, and a long one is cut."""
    transcript, _ = ask("a\n\n# b\n" + "word " * 200, pace=0)
    (line,) = [line for line in transcript.text.splitlines() if line.startswith("> ")]
    assert line.startswith("> a # b word")
    assert line.endswith("…")


def test_it_fails_when_asked_to():
    """A failure of the demo has a code and a sentence, and what was shown stands."""
    transcript, _ = ask("Please fail now.", pace=0)
    assert transcript.outcome is not None
    assert (transcript.status, transcript.outcome.code) == ("failed", "demo_failure")
    assert "Try to lose it" in transcript.text


@pytest.mark.parametrize(
    "options",
    [{"wrods": 3}, {"words": -1}, {"words": 10**9}, {"pace": -1}, {"pace": "fast"}, {"words": True}],
)
def test_wrong_options_are_refused(options: dict[str, Any]):
    """Each with a sentence that names the option."""
    transcript, _ = ask("Go.", **options)
    assert transcript.outcome is not None
    assert transcript.outcome.code == "bad_option"


def test_a_permission_that_nobody_gave_is_none():
    """When its time has passed, the demo goes on, and does not count."""

    async def whole() -> Transcript:
        async with Bench(sim, DemoAgent(pace=0)) as bench:
            return await bench.ask("Please approve this.")

    sim = SimLoop(1, virtual_s_max=200_000)
    transcript = sim.run(whole())
    assert transcript.status == "completed"
    assert "You did not permit it" in transcript.text
    assert not any(isinstance(part, ToolPart) for part in transcript.parts)

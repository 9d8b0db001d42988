"""What an upstream does wrong, through the whole stack: what the person is told, what the log holds, what was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast_client import Client, connect
from holdfast_protocol.commands import Deadlines
from holdfast_protocol.events import Progress
from holdfast_protocol.transcript import ProgressPart
from tests.support.script import Script, expected_text, scripted, text_sent
from tests.support.serving import Server, openai_toml
from tests.support.upstream import Upstream

pytestmark = [pytest.mark.faults, pytest.mark.slow]

BOUND_S = 60
INNARDS = ("Traceback", ".py", "File ", "aiohttp", "httpx", "openai.", "Errno", "0x", "127.0.0.1")
FAULTS: list[dict[str, Any]] = [
    {"cut": 7}, {"cut": 7, "cut_by": "fin"}, {"cut": 0}, {"eof": 7}, {"eof": 0}, {"half_line": 7}, {"garbage": 7},
    {"error_object": 7}, {"status": 429, "retry_after_s": 0.2}, {"status": 500}, {"status": 503, "retry_after_ms": 50},
]  # fmt: skip
NAMES = ["-".join(f"{name}={value}" for name, value in fault.items()) for fault in FAULTS]


@asynccontextmanager
async def stack(folder: Path, **options: Any) -> AsyncIterator[tuple[Upstream, Client]]:
    """An upstream, a server that asks it, and a client; warm, so that a short clock measures the upstream alone."""
    async with (
        asyncio.timeout(BOUND_S),
        Upstream() as upstream,
        Server(folder, toml=openai_toml(upstream.base_url, **options)) as server,
        connect(server.url) as client,
    ):
        await (await client.submit(scripted("Say it.", Script()), request_id="warm")).check()
        yield upstream, client


def plain_words(*sentences: str) -> None:
    """Sentences for people: said, and nothing of the machine in them."""
    for sentence in sentences:
        assert sentence
        assert not [word for word in INNARDS if word in sentence], sentence


async def test_a_fault_that_passes(tmp_path):
    """One fault costs one more call: the answer is the second call's, whole and alone; what was shown before is taken back
    by a new attempt, and the person is told why; where nothing was shown there is no new attempt."""
    async with stack(tmp_path) as (upstream, client):

        async def one(number: int) -> None:
            script = Script(seed=number, reseed=True, deltas=20, **FAULTS[number])
            answer = await client.submit(scripted("Say it.", script), request_id=f"r{number}")
            transcript = await answer.result()
            assert transcript.status == "completed", (NAMES[number], transcript.outcome)
            assert transcript.text == expected_text(script, call=2), NAMES[number]
            assert [call.sdk_retry for call in upstream.log.of(f"r{number}")] == [0, 0], NAMES[number]
            assert transcript.attempt == (2 if text_sent(script) else 1), NAMES[number]
            told = [
                event
                for event in (await client.read_events(f"r{number}", limit=1000)).events
                if isinstance(event, Progress) and event.id == "holdfast.retry"
            ]
            assert [event.state for event in told] == ["running", "done"]
            plain_words(told[0].label)

        await asyncio.gather(*(one(number) for number in range(len(FAULTS))))


async def test_a_fault_that_stays(tmp_path):
    """After its retries a request fails with a code and a sentence that say what is wrong; what the last attempt showed
    stands, to the letter."""
    async with stack(tmp_path, retries=1) as (upstream, client):

        async def one(number: int) -> None:
            script = Script(seed=number, reseed=True, deltas=20, faulty_calls=None, **FAULTS[number])
            answer = await client.submit(scripted("Say it.", script), request_id=f"r{number}")
            transcript = await answer.result()
            assert transcript.status == "failed", (NAMES[number], transcript.outcome)
            outcome = transcript.outcome
            assert outcome is not None
            assert outcome.retryable
            assert outcome.code in {
                "upstream_lost", "truncated", "upstream_garbled", "upstream_error", "rate_limited",
            }, NAMES[number]  # fmt: skip
            plain_words(outcome.message)
            sent = text_sent(script, call=2)
            if script.cut is not None and script.cut_by == "rst":
                assert sent.startswith(transcript.text)  # a reset takes along what was under way
            else:
                assert transcript.text == sent, NAMES[number]
            assert len(upstream.log.of(f"r{number}")) == 2

        await asyncio.gather(*(one(number) for number in range(len(FAULTS))))


@pytest.mark.parametrize(
    ("script", "deadlines", "code"),
    [
        (Script(deltas=20, stall=7), Deadlines(stall_s=0.5), "stall"),
        (Script(deltas=20, stall=0), Deadlines(first_output_s=0.5), "first_output"),
        (Script(deltas=20, slow_first_ms=60_000), Deadlines(first_output_s=0.5), "first_output"),
        (Script(deltas=10_000, gap_ms=20), Deadlines(total_s=0.5), "total"),
    ],
)
async def test_silence_is_timed_out(tmp_path, script, deadlines, code):
    """Each clock ends the request with its own reason; what was shown stands; the upstream is told to stop; nothing more
    is asked of it."""
    async with stack(tmp_path) as (upstream, client):
        answer = await client.submit(scripted("Say it.", script), deadlines=deadlines, request_id="slow")
        transcript = await answer.result()
        assert transcript.status == "timed_out"
        assert transcript.outcome is not None
        assert transcript.outcome.code == code
        plain_words(transcript.outcome.message)
        assert expected_text(script).startswith(transcript.text)
        if code == "stall":
            assert transcript.text == text_sent(script)
        await upstream.log.until(lambda calls: all(call.ended is not None for call in calls))
        assert [call.outcome for call in upstream.log.of("slow")] == ["disconnected"]
        assert not [part for part in transcript.parts if isinstance(part, ProgressPart)]


async def test_cancel_reaches_the_upstream(tmp_path):
    """A request that is cancelled in the middle of its answer is left by the server: the upstream sees its client go."""
    script = Script(deltas=20, hold=5)
    async with stack(tmp_path) as (upstream, client):
        answer = await client.submit(scripted("Say it.", script), request_id="stopped")
        await upstream.log.until(lambda calls: calls[-1].key == "stopped" and calls[-1].stalled)
        assert (await answer.cancel()).won
        await upstream.log.until(lambda calls: calls[-1].disconnected)
        transcript = await answer.result()
        assert (transcript.status, transcript.text) == (
            "cancelled",
            expected_text(script)[: len(transcript.text)],
        )

"""The chat-completions agent under the runner, through the real SDK, against a server that misbehaves on order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.commands import InputMessage
from holdfast_protocol.fold import fold
from holdfast_protocol.transcript import ReasoningPart, ToolPart, Transcript
from holdfast_server.agents import Clocks, OpenAIChat, Profile
from holdfast_server.runner import Runner
from holdfast_server.stores.base import Key, Record, key_of
from holdfast_server.stores.log import Log
from holdfast_server.stores.memory import MemoryStore
from tests.support.runs import OWNER, history
from tests.support.upstream import (
    Script,
    ToolCall,
    Upstream,
    expected_reasoning,
    expected_text,
    scripted,
    text_sent,
)

WAIT_S = 20.0  # for the whole of a test's work; none comes near it


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Node:
    """A runner with the agent, over a memory store, and the server that it asks."""

    def __init__(self, store: MemoryStore, upstream: Upstream, runner: Runner) -> None:
        self.store, self.upstream, self.runner = store, upstream, runner

    async def submit(self, script: Script, *, append_only: bool = False, **options: Any) -> Log:
        messages = [InputMessage(role="user", text=scripted("Hello", script))]
        key = key_of(OWNER, f"r{time.monotonic_ns()}")
        record = Record(
            key=key, body_hash=b"", agent="openai", created_at=now_ms(), messages=messages, options=options,
            append_only=append_only,
        )  # fmt: skip
        opened = await self.store.open(record, ev.Accepted(at=now_ms(), nonce="00000000", agent="openai"))
        return opened.log

    async def ask(self, script: Script, **more: Any) -> Transcript:
        log = await self.submit(script, **more)
        async with asyncio.timeout(WAIT_S):
            await log.wait_sealed()
        return fold(log.events)

    async def cancel(self, key: Key) -> None:
        await self.store.seal(key, ev.Cancelled(at=now_ms(), code="user"))


@asynccontextmanager
async def node(**profile: Any) -> AsyncIterator[Node]:
    profile.setdefault("clocks", Clocks(first_output_s=5, stall_s=5, total_s=30))
    async with Upstream() as upstream:
        agent = OpenAIChat(
            Profile(name="openai", model="scripted-1", **profile), api_key="any", base_url=upstream.base_url
        )
        store = MemoryStore()
        runner = Runner(store, {"openai": agent}, history, slots=8, now_ms=now_ms, dice=lambda: 0.01)
        await store.start()
        await runner.start()
        try:
            yield Node(store, upstream, runner)
        finally:
            await runner.drain(0)
            await store.close()
            await agent.close()


def attempts(log: Log) -> list[int]:
    return [event.attempt for event in log.events if isinstance(event, ev.Started)]


@pytest.mark.parametrize(
    "script",
    [
        Script(deltas=200, delta_chars=7),
        Script(deltas=50, reasoning_deltas=20, split_utf8=True),
        Script(deltas=50, escaped=True, write_bytes=3),
        Script(text="no usage", usage="never"),
    ],
)
async def test_the_answer_is_what_the_server_sent(script: Script):
    """Text and reasoning arrive whole, however they were cut on the way; usage is kept where it is given."""
    async with node() as bench:
        transcript = await bench.ask(script)
        assert transcript.status == "completed"
        assert transcript.text == expected_text(script)
        reasoning = "".join(part.text for part in transcript.parts if isinstance(part, ReasoningPart))
        assert reasoning == expected_reasoning(script)
        assert (transcript.usage is not None) == (script.usage != "never")
        assert len(bench.upstream.log.calls) == 1


async def test_a_refusal_before_output_is_waited_out_within_the_attempt():
    """429 with Retry-After: the same attempt, after as long as the server asked, and the SDK retries nothing by itself."""
    script = Script(status=429, retry_after_ms=300, deltas=5)
    async with node() as bench:
        log = await bench.submit(script)
        await log.wait_sealed()
        assert (log.status, attempts(log)) == ("completed", [1])
        assert fold(log.events).text == expected_text(script)
        first, second = bench.upstream.log.calls
        assert second.started - first.started >= 0.3
        assert [call.sdk_retry for call in bench.upstream.log.calls] == [0, 0]
        assert first.key == log.key.request_id


@pytest.mark.parametrize(
    "script",
    [
        Script(deltas=20, reseed=True, cut=9, cut_by="rst"),
        Script(deltas=20, reseed=True, cut=9, cut_by="fin"),
        Script(deltas=20, reseed=True, cut=9, cut_by="eof"),
        Script(deltas=20, reseed=True, half_line=9, cut_by="rst"),
        Script(deltas=20, reseed=True, half_line=9, cut_by="fin"),
        Script(deltas=20, reseed=True, half_line=9, cut_by="eof"),
        Script(deltas=20, reseed=True, eof=9),
        Script(deltas=20, reseed=True, garbage=9),
        Script(deltas=20, reseed=True, error_object=9),
    ],
)
async def test_a_stream_that_breaks_is_superseded(script: Script):
    """Whatever breaks it, and however cleanly it ends: never completed as it is, and attempt 2 says all of another text."""
    async with node() as bench:
        log = await bench.submit(script)
        await log.wait_sealed()
        assert (log.status, attempts(log)) == ("completed", [1, 2])
        assert fold(log.events).text == expected_text(script, 2)
        assert len(bench.upstream.log.calls) == 2


async def test_a_stream_that_always_ends_early_is_never_completed():
    """A clean end without finish_reason is a failure when the budget is used up; what was shown stands."""
    script = Script(deltas=20, eof=5, faulty_calls=None)
    async with node(retries=1) as bench:
        transcript = await bench.ask(script)
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.code) == ("failed", "truncated")
        assert transcript.text == text_sent(script)
        assert len(bench.upstream.log.calls) == 2


async def test_text_that_cannot_be_taken_back_is_not_tried_again():
    """An append_only request whose stream breaks after output fails with what was shown."""
    script = Script(deltas=20, eof=5)
    async with node() as bench:
        transcript = await bench.ask(script, append_only=True)
        assert (transcript.status, transcript.text) == ("failed", text_sent(script))


async def test_a_stream_that_stalls_times_out():
    """The server is silent: the clock ends it, and the server's connection too."""
    script = Script(deltas=20, stall=5, faulty_calls=None)
    async with node(clocks=Clocks(first_output_s=5, stall_s=0.4, total_s=30)) as bench:
        transcript = await bench.ask(script)
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.code) == ("timed_out", "stall")
        assert transcript.text == text_sent(script)
        await bench.upstream.log.until(lambda calls: calls[0].disconnected, 2)


async def test_a_server_that_does_not_begin_times_out():
    """No first byte within the first clock."""
    script = Script(slow_first_ms=60_000)
    async with node(clocks=Clocks(first_output_s=2, stall_s=5, total_s=30)) as bench:
        transcript = await bench.ask(script)
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.code) == ("timed_out", "first_output")
        await bench.upstream.log.until(lambda calls: calls[0].disconnected, 2)


@pytest.mark.parametrize(
    "script", [Script(deltas=20, hold=5), Script(slow_first_ms=60_000), Script(deltas=5000, gap_ms=5)]
)
async def test_a_cancel_reaches_the_server(script: Script):
    """Within a second of the seal the server sees its client go, before the first byte, in the middle and while it streams."""
    async with node() as bench:
        log = await bench.submit(script)
        await bench.upstream.log.until(bool)
        if not script.slow_first_ms:
            await log.wait(4)
        await bench.cancel(log.key)
        sealed_at = time.monotonic()
        await bench.upstream.log.until(lambda calls: calls[0].disconnected, 5)
        (call,) = bench.upstream.log.calls
        assert call.disconnected_at is not None
        assert call.disconnected_at - sealed_at < 1.0
        assert log.status == "cancelled"
        assert expected_text(script).startswith(fold(log.events).text)


async def test_an_agent_that_is_left_closes_its_stream():
    """Closed between two outputs, as by a bound on the answer: the server sees its client go."""
    async with node() as bench:
        bench.runner._terms = replace(bench.runner._terms, answer_bytes_max=10)
        transcript = await bench.ask(Script(deltas=50, gap_ms=50))
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.code) == ("failed", "too_long")
        sealed_at = time.monotonic()
        await bench.upstream.log.until(lambda calls: calls[0].ended is not None, 5)
        (call,) = bench.upstream.log.calls
        assert call.disconnected_at is not None
        assert call.disconnected_at - sealed_at < 1.0


async def test_a_models_tool_calls_end_the_answer():
    """Calls arrive whole and in order, for the client to run; the answer is complete with them."""
    calls = (
        ToolCall(id="c1", name="look", arguments='{"for":"é漢😀"}', fragments=5),
        ToolCall(id="c2", name="add", arguments="[1,2]"),
    )
    async with node() as bench:
        transcript = await bench.ask(Script(text="Let me look.", tool_calls=calls))
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.code) == ("completed", "tool_calls")
        parts = [part for part in transcript.parts if isinstance(part, ToolPart)]
        assert [(part.call_id, part.name, part.arguments, part.state, part.where) for part in parts] == [
            (call.id, call.name, call.arguments, "called", "client") for call in calls
        ]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "upstream_refused"),
        (401, "upstream_denied"),
        (403, "upstream_denied"),
        (404, "upstream_not_found"),
    ],
)
async def test_a_refusal_for_good_is_told_in_a_sentence(status: int, code: str):
    """It is not tried again, and says what to do without the server's internals."""
    async with node() as bench:
        transcript = await bench.ask(Script(status=status, faulty_calls=None))
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.code, transcript.outcome.retryable) == (
            "failed",
            code,
            False,
        )
        assert len(bench.upstream.log.calls) == 1


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
async def test_trouble_that_passes_is_tried_within_the_budget(status: int):
    """Each of these may pass; when it does not, the last failure is the outcome, marked as worth another try."""
    async with node(retries=2) as bench:
        transcript = await bench.ask(Script(status=status, faulty_calls=None, retry_after_ms=5))
        assert transcript.outcome is not None
        assert (transcript.status, transcript.outcome.retryable) == ("failed", True)
        assert len(bench.upstream.log.calls) == 3


async def test_a_server_that_is_not_there_is_unreachable():
    """A refused connection is tried again, then told."""
    agent = OpenAIChat(Profile(name="openai", model="m", retries=1), base_url="http://127.0.0.1:9/v1")
    store = MemoryStore()
    runner = Runner(store, {"openai": agent}, history, slots=1, now_ms=now_ms, dice=lambda: 0.01)
    await store.start()
    await runner.start()
    async with Upstream() as upstream:
        transcript = await Node(store, upstream, runner).ask(Script())
    assert transcript.outcome is not None
    assert (transcript.outcome.code, transcript.outcome.retryable) == ("upstream_unreachable", True)
    await runner.drain(0)
    await store.close()
    await agent.close()


async def test_options_pass_by_name_and_others_are_refused():
    """A misspelt option is an error that names it, before the server is asked."""
    async with node() as bench:
        assert (
            await bench.ask(Script(), temperature=0.5, max_tokens=9, model="scripted-2")
        ).status == "completed"
        assert bench.upstream.log.calls[0].model == "scripted-2"
        transcript = await bench.ask(Script(), temprature=0.5)
        assert transcript.outcome is not None
        assert transcript.outcome.code == "bad_option"
        assert "temprature" in transcript.outcome.message
        assert len(bench.upstream.log.calls) == 1


async def test_many_answers_at_once_do_not_mix():
    """Each request gets its own text, byte for byte, faults or not."""
    scripts = [
        Script(seed=seed, deltas=40, reseed=True, gap_ms=1, cut=10 if seed % 3 == 0 else None)
        for seed in range(24)
    ]
    async with node() as bench:
        transcripts = await asyncio.gather(*(bench.ask(script) for script in scripts))
        for script, transcript in zip(scripts, transcripts, strict=True):
            assert transcript.text == expected_text(script, 2 if script.cut else 1)

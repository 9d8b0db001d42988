"""The scripted upstream as the real SDK sees it: each verb, and the call log beside it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import openai
import pytest

from tests.support.upstream import (
    Script,
    ToolCall,
    Upstream,
    expected_reasoning,
    expected_text,
    scripted,
    text_sent,
)


@asynccontextmanager
async def sdk(upstream: Upstream, timeout_s: float = 5) -> AsyncIterator[openai.AsyncOpenAI]:
    """The SDK without retries of its own, and without reading the machine's certificates (40 ms each)."""
    http = openai.DefaultAsyncHttpxClient(verify=False)
    async with openai.AsyncOpenAI(
        base_url=upstream.base_url, api_key="any", max_retries=0, timeout=timeout_s, http_client=http
    ) as client:
        yield client


class Seen:
    """What the SDK gave of one stream, up to its end or its error."""

    def __init__(self) -> None:
        self.text = ""
        self.reasoning = ""
        self.tools: dict[int, dict[str, str]] = {}
        self.finish_reason: str | None = None
        self.usage: Any = None

    def take(self, chunk: Any) -> None:
        self.usage = chunk.usage or self.usage
        for choice in chunk.choices:
            self.text += choice.delta.content or ""
            self.reasoning += getattr(choice.delta, "reasoning_content", None) or ""
            self.finish_reason = choice.finish_reason or self.finish_reason
            for call in choice.delta.tool_calls or []:
                tool = self.tools.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
                tool["id"] += call.id or ""
                tool["name"] += call.function.name or ""
                tool["arguments"] += call.function.arguments or ""


async def ask(client: openai.AsyncOpenAI, script: Script, seen: Seen, key: str = "", **extra: Any) -> Seen:
    """Streams one answer into `seen`."""
    stream = await client.chat.completions.create(
        model="scripted-1",
        messages=[{"role": "user", "content": scripted("Hello", script)}],
        stream=True,
        extra_headers={"x-request-id": key} if key else {},
        **extra,
    )
    async for chunk in stream:
        seen.take(chunk)
    return seen


@pytest.mark.parametrize(
    "script",
    [
        Script(deltas=40, seed=1),
        Script(deltas=40, seed=2, delta_chars=1, split_utf8=True),
        Script(deltas=5, seed=3, write_bytes=1),
        Script(deltas=40, seed=4, escaped=True, write_bytes=7),
        Script(text='漢字 é 😀\u2028"\\ data: [DONE]\n\n', delta_chars=1),
        Script(deltas=0),
    ],
)
async def test_text_arrives_whole(script: Script) -> None:
    """However the bytes are split, the SDK gets exactly the expected text, a finish_reason, and the usage it asks for."""
    async with Upstream() as upstream, sdk(upstream) as client:
        seen = await ask(client, script, Seen(), stream_options={"include_usage": True})
        assert seen.text == expected_text(script) == text_sent(script)
        assert seen.finish_reason == "stop"
        (call,) = upstream.log.calls
        assert (call.outcome, call.disconnected, call.deltas) == (
            "completed",
            False,
            seen.usage.completion_tokens,
        )
        assert call.bytes > 0
        assert call.ended is not None
        assert call.ended >= call.started


async def test_reasoning_tools_and_usage() -> None:
    """Reasoning comes first, tool calls in fragments by index, usage always where the script says so."""
    tools = (
        ToolCall(id="call_1", name="search", arguments='{"q": "漢 \\"é\\""}', fragments=4),
        ToolCall(id="call_2", name="now"),
    )
    script = Script(text="Look: ", reasoning_deltas=5, tool_calls=tools, usage="always")
    async with Upstream() as upstream, sdk(upstream) as client:
        seen = await ask(client, script, Seen())
    assert (seen.text, seen.reasoning) == ("Look: ", expected_reasoning(script))
    assert [seen.tools[index] for index in (0, 1)] == [
        {"id": tool.id, "name": tool.name, "arguments": tool.arguments} for tool in tools
    ]
    assert seen.finish_reason == "tool_calls"
    assert seen.usage is not None


async def test_a_call_without_stream_gives_the_same_text() -> None:
    """A call that does not stream gets the whole answer in one body, with its usage."""
    script = Script(deltas=20, seed=5)
    async with Upstream() as upstream, sdk(upstream) as client:
        upstream.script(script)
        answer = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hello"}]
        )
        assert answer.choices[0].message.content == expected_text(script)
        assert answer.usage is not None
        assert "scripted-1" in [model.id async for model in client.models.list()]


@pytest.mark.parametrize(
    ("script", "error", "cause"),
    [
        (Script(cut=3, seed=1), openai.APIConnectionError, "ReadError"),
        (Script(cut=3, seed=1, cut_by="fin"), openai.APIConnectionError, "RemoteProtocolError"),
        (Script(half_line=3, seed=1), openai.APIConnectionError, "ReadError"),
        (Script(garbage=3, seed=1), json.JSONDecodeError, "NoneType"),
        (Script(error_object=3, seed=1), openai.APIError, "NoneType"),
    ],
    ids=["rst", "fin", "half_line", "garbage", "error_object"],
)
async def test_a_fault_bites_after_k_deltas(script: Script, error: type[Exception], cause: str) -> None:
    """The SDK raises after the text sent before the fault; the next call of the key gets through."""
    async with Upstream() as upstream, sdk(upstream) as client:
        seen = Seen()
        with pytest.raises(error) as raised:
            await ask(client, script, seen, key="r1")
        assert type(raised.value.__cause__).__name__ == cause
        assert seen.text == text_sent(script) != expected_text(script)
        again = await ask(client, script, Seen(), key="r1")
        assert again.text == expected_text(script) == text_sent(script, 2)
        first, second = upstream.log.of("r1")
        assert (first.nth, second.nth, second.outcome) == (1, 2, "completed")
        assert first.outcome in ("cut", "half_line", "garbage", "error_object", "disconnected")


@pytest.mark.parametrize("script", [Script(eof=3, seed=1), Script(cut=3, seed=1, cut_by="eof")])
async def test_a_clean_early_end_raises_nothing(script: Script) -> None:
    """A body that ends early but cleanly is silent in the SDK: only the missing finish_reason tells."""
    async with Upstream() as upstream, sdk(upstream) as client:
        seen = await ask(client, script, Seen())
        assert (seen.text, seen.finish_reason) == (text_sent(script), None)


async def test_half_a_line_before_a_clean_end() -> None:
    """Half an SSE line before a clean end adds nothing to the text and gives no finish_reason."""
    script = Script(half_line=3, seed=1, cut_by="eof")
    async with Upstream() as upstream, sdk(upstream) as client:
        seen = await ask(client, script, Seen())
        assert (seen.text, seen.finish_reason) == (text_sent(script), None)


async def test_a_stall_lasts_until_the_client_goes() -> None:
    """A stalled stream ends by the reader's timeout, and the log says that the client went, and when."""
    script = Script(stall=2, seed=1)
    async with Upstream() as upstream, sdk(upstream, timeout_s=0.1) as client:
        seen = Seen()
        with pytest.raises(openai.APITimeoutError):
            await ask(client, script, seen)
        assert seen.text == text_sent(script)
        await upstream.log.until(lambda calls: calls[0].ended is not None)
        (call,) = upstream.log.calls
        assert (call.outcome, call.stalled, call.disconnected, call.deltas) == ("disconnected", True, True, 2)
        assert call.disconnected_at is not None
        assert call.disconnected_at > call.started


async def test_a_slow_first_byte_times_out() -> None:
    """`slow_first_ms` holds back the headers too."""
    async with Upstream() as upstream, sdk(upstream, timeout_s=0.1) as client:
        with pytest.raises(openai.APITimeoutError):
            await ask(client, Script(slow_first_ms=60_000), Seen())
        await upstream.log.until(lambda calls: calls[0].disconnected)
        assert upstream.log.calls[0].bytes == 0


async def test_a_held_stream_goes_on_when_released() -> None:
    """`hold` stops after k deltas without a clock, and `release` lets the rest follow."""
    script = Script(deltas=6, hold=2, stamp=True)
    async with Upstream() as upstream, sdk(upstream) as client:
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": scripted("", script)}], stream=True, user="u1"
        )
        await upstream.log.until(lambda calls: calls[0].stalled)
        (call,) = upstream.log.calls
        assert (call.deltas, call.outcome, call.key) == (2, "running", "u1")
        upstream.release("u1")
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text == expected_text(script)
        assert len(call.stamps) == 6
        assert call.stamps == sorted(call.stamps)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (408, openai.APIStatusError),
        (409, openai.ConflictError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
async def test_a_status_is_for_the_first_n_calls(status: int, error: type[openai.APIStatusError]) -> None:
    """The first n calls of a key get the status with Retry-After, other keys count by themselves, the next succeeds."""
    script = Script(status=status, faulty_calls=2, retry_after_s=1, retry_after_ms=250)
    async with Upstream() as upstream, sdk(upstream) as client:
        for key in ("a", "b", "a"):
            with pytest.raises(error) as raised:
                await ask(client, script, Seen(), key=key)
            assert raised.value.status_code == status
            assert raised.value.response.headers["retry-after"] == "1"
            assert raised.value.response.headers["retry-after-ms"] == "250"
        assert (await ask(client, script, Seen(), key="a")).text == expected_text(script)
        assert [call.outcome for call in upstream.log.of("a")] == [f"status_{status}"] * 2 + ["completed"]


async def test_the_sdks_own_retry_is_seen_as_its_own_call() -> None:
    """With its retries on, the SDK calls twice for one request: the log shows what a client's history hides."""
    async with Upstream() as upstream, sdk(upstream) as client:
        script = Script(status=503, retry_after_ms=1)
        seen = await ask(client.with_options(max_retries=1), script, Seen(), key="k")
        assert seen.text == expected_text(script)
        assert [call.sdk_retry for call in upstream.log.of("k")] == [0, 1]


async def test_a_reseeded_script_says_another_text_each_call() -> None:
    """With `reseed`, the text of a second call can be told from that of the first."""
    script = Script(reseed=True, deltas=4)
    async with Upstream() as upstream, sdk(upstream) as client:
        texts = [(await ask(client, script, Seen(), key="k")).text for _ in range(2)]
    assert texts == [expected_text(script, 1), expected_text(script, 2)]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("fault", ["cut", "half_line", "eof", "garbage", "stall", "error_object"])
async def test_faults_of_a_call_without_stream(fault: str) -> None:
    """A call that does not stream fails too, and its outcome is in the log."""
    async with Upstream() as upstream, sdk(upstream, timeout_s=0.1 if fault == "stall" else 5) as client:
        upstream.script(Script(**{fault: 0}))  # type: ignore[arg-type]
        with pytest.raises((openai.APIError, json.JSONDecodeError)):
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}])
        await upstream.log.until(lambda calls: calls[0].ended is not None)
        assert upstream.log.calls[0].outcome == ("disconnected" if fault == "stall" else fault)


async def test_a_bad_script_is_refused_with_a_reason() -> None:
    """A prompt whose script has an unknown verb gets 400 and is told which."""
    async with Upstream() as upstream, sdk(upstream) as client:
        with pytest.raises(openai.BadRequestError, match="explode"):
            await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": '#script:\n{"explode": 1}'}]
            )
        assert upstream.log.calls == []


async def test_the_tests_own_door() -> None:
    """Another process sets scripts, releases, reads the log with what was asked, and resets, over HTTP."""
    async with Upstream() as upstream, sdk(upstream) as client, aiohttp.ClientSession() as http:
        root = upstream.base_url.removesuffix("/v1")
        assert (await http.put(f"{root}/script?key=k", data=b'{"text": "set", "hold": 0}')).status == 200
        assert (await http.put(f"{root}/script", data=b'{"txt": ""}')).status == 400
        assert (await http.post(f"{root}/release?key=k")).status == 200
        question: Any = [{"role": "user", "content": "Hello"}]
        headers = {"x-request-id": "k"}
        answer = await client.chat.completions.create(model="m", messages=question, extra_headers=headers)
        assert answer.choices[0].message.content == "set"
        (call,) = (await (await http.get(f"{root}/calls?messages=1")).json())["calls"]
        assert (call["key"], call["nth"], call["outcome"], call["messages"]) == (
            "k",
            1,
            "completed",
            question,
        )
        assert (await http.post(f"{root}/reset")).status == 200
        assert (await (await http.get(f"{root}/calls")).json())["calls"] == []

"""The chat-completions agent against streams that no decent server would send."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from holdfast_protocol.transcript import Transcript
from holdfast_server.agents import (
    AgentFailure,
    Context,
    End,
    Message,
    OpenAIChat,
    Output,
    Profile,
    Reasoning,
    Text,
    Tokens,
    ToolArguments,
    ToolCallBegin,
    ToolReady,
)
from holdfast_server.stores.base import Owner
from tests.support.simloop import SimLoop


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {"choices": choices, "usage": None, **more}


class Stream:
    """Chunks; a number waits so many seconds, an exception is raised."""

    def __init__(self, steps: Sequence[Any]) -> None:
        self.steps = steps
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[Any]:
        for step in self.steps:
            if isinstance(step, int | float):
                await asyncio.sleep(step)
            elif isinstance(step, Exception):
                raise step
            else:
                yield step

    async def close(self) -> None:
        self.closed = True


class Client:
    """Gives the answers of `post` in order, and keeps what was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.headers: dict[str, str] = {}

    async def post(self, path: str, *, body: dict[str, Any], options: dict[str, Any], **_: Any) -> Stream:
        assert (path, body["stream"]) == ("/chat/completions", True)
        self.asked.append(body)
        self.headers = options["headers"]
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Stream(answer)


def said(*answers: Any) -> tuple[list[Output], Client]:
    client = Client(*answers)

    async def main() -> list[Output]:
        agent = OpenAIChat(Profile(name="a", model="m"), api_key="k")
        agent._client = client  # type: ignore[assignment]
        context = Context(
            request_id="r", owner=Owner("t", "u"), chat_id=None, messages=[Message("user", "q")], options={}, attempt=2,
            reason="first", transcript=Transcript(), inputs=(), step=None,  # type: ignore[arg-type]
        )  # fmt: skip
        return [output async for output in agent.run(context)]

    return SimLoop(1).run(main()), client


def refusal(status: int, text: str) -> openai.APIStatusError:
    response: Any = SimpleNamespace(status_code=status, headers={}, request=None)
    return openai.APIStatusError(text, response=response, body={"message": text})


LOST = openai.APIConnectionError(request=None)  # type: ignore[arg-type]
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "index": 0}


@pytest.mark.parametrize("tail", [LOST, 10_000, ValueError("not JSON")])
def test_an_answer_with_its_reason_is_whole(tail: Any):
    """What goes wrong after finish_reason costs the usage, not the answer; a line kept open is left within seconds."""
    outputs, _ = said([chunk({"content": "a"}), chunk({}, "length"), tail])
    assert outputs == [Text("a"), End("length")]


def test_usage_may_follow_the_end():
    """The chunk after the last choice carries it."""
    outputs, _ = said([chunk({"content": "a"}), chunk({}, "stop"), chunk(usage=USAGE)])
    assert outputs == [Text("a"), Tokens(5, 7), End("stop")]


def test_a_server_without_stream_options_is_asked_without():
    """Refused for that alone, the request is made again; any other refusal stands."""
    outputs, client = said(refusal(400, "unknown field stream_options"), [chunk({"content": "a"}, "stop")])
    assert outputs == [Text("a"), End("stop")]
    assert ["stream_options" in asked for asked in client.asked] == [True, False]
    with pytest.raises(AgentFailure):
        said(refusal(400, "bad temperature"))


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([chunk({"content": "a"})], "truncated"),
        ([chunk({"content": "a"}), LOST], "upstream_lost"),
        ([chunk({"content": "a"}), ValueError("x")], "upstream_garbled"),
        ([chunk({"content": "a"}, "error")], "truncated"),
        ([], "truncated"),
    ],
)
def test_an_answer_without_its_reason_is_not_whole(steps: list[Any], code: str):
    """However it ends, it is a failure that may pass."""
    with pytest.raises(AgentFailure) as caught:
        said(steps)
    assert (caught.value.code, caught.value.retryable) == (code, True)


def test_reasoning_under_both_names_and_refusals_are_read():
    """Servers differ in what they call it."""
    outputs, _ = said(
        [
            chunk({"reasoning_content": "a"}),
            chunk({"reasoning": "b"}),
            chunk({"refusal": "No."}),
            chunk({}, "content_filter"),
        ]
    )
    assert outputs == [Reasoning("a"), Reasoning("b"), Text("No."), End("content_filter")]


def call(index: int | None, id_: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    return {"index": index, "id": id_, "function": {"name": name, "arguments": arguments, "index": 0}}


def test_calls_are_told_apart_by_index_and_may_alternate():
    """Pieces belong to their index; ids come once; a `stop` after calls means the calls."""
    outputs, _ = said(
        [
            chunk({"tool_calls": [call(0, "x", "f", ""), call(1, "y", "g", "[")]}),
            chunk({"tool_calls": [call(0, None, None, "{}"), call(1, None, None, "]")]}),
            chunk({}, "stop"),
        ]
    )
    assert outputs == [
        ToolCallBegin("x", "f", "client"), ToolCallBegin("y", "g", "client"), ToolArguments("y", "["),
        ToolArguments("x", "{}"), ToolArguments("y", "]"), ToolReady("x"), ToolReady("y"), End("tool_calls"),
    ]  # fmt: skip


def test_calls_without_index_or_id_are_calls_of_their_own():
    """Some servers send each call whole, and number nothing."""
    outputs, _ = said([chunk({"tool_calls": [call(None, None, "f", "{}")]}), chunk({"tool_calls": [call(None, None, "g", "{}")]}, "tool_calls")])  # fmt: skip
    begins = [output for output in outputs if isinstance(output, ToolCallBegin)]
    assert [begin.call_id for begin in begins] == ["call_0", "call_1"]


def test_a_repeated_call_can_be_told_from_a_new_one():
    """The key names request, attempt and owner, for two owners may use the same id."""
    _, client = said([chunk({"content": "a"}, "stop")])
    assert client.headers["x-request-id"] == "r"
    assert client.headers["Idempotency-Key"].startswith("r.2.")
    assert len(client.headers["Idempotency-Key"]) == len("r.2.") + 16


def test_fields_of_another_kind_are_left_out():
    """Chunks are read as they come: what is no object, or null where a list should be, adds nothing."""
    odd: list[Any] = [
        None,
        [],
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"index": 0, "delta": None}]},
    ]
    outputs, _ = said([*odd, chunk({"content": "a", "tool_calls": None}, "stop")])
    assert outputs == [Text("a"), End("stop")]


async def test_an_agent_without_a_key_says_so():
    """A missing key is a sentence for people, not a stack trace."""
    agent = OpenAIChat(Profile(name="a", model="m"))
    with pytest.raises(AgentFailure, match="API key"):
        await agent._connect()

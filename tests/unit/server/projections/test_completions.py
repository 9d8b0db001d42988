"""Chat Completions from a log: the chunks as they come, and the completion as it stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from holdfast_protocol import events as ev
from holdfast_protocol.fold import fold
from holdfast_protocol.rewrite import events_of, page_of
from holdfast_protocol.transcript import ReasoningPart, ToolPart, Transcript
from holdfast_server.projections.base import Asked
from holdfast_server.projections.completions import CompletionsProjection
from tests.support.strategies import histories

ASKED = Asked(
    request_id="r-1", agent="demo", created_at=1_760_000_000_999, envelope={"openai": {"model": "demo-large"}}
)
BEGIN: list[ev.Event] = [
    ev.Accepted(at=1, nonce="a" * 8, agent="demo"),
    ev.Started(at=2, attempt=1, term=1, nonce="b" * 8),
]
DONE = ev.Completed(at=9, code="stop")


def fed(events: list[ev.Event], *, include_usage: bool = False) -> tuple[CompletionsProjection, list[Any]]:
    """A projection that was fed these events, and its frames."""
    projection = CompletionsProjection(ASKED, include_usage=include_usage)
    frames = [frame for event in events for frame in projection.apply(event)]
    return projection, frames


def deltas(frames: list[Any]) -> list[Any]:
    """What the chunks say of the answer itself."""
    return [frame["choices"][0]["delta"] for frame in frames if frame.get("choices")]


def written(frames: list[Any], field: str) -> str:
    """The text of one field, put together."""
    return "".join(delta.get(field) or "" for delta in deltas(frames))


def text(part: int, *pieces: str, kind: Any = "text") -> list[ev.Event]:
    """A part of text in these pieces, complete."""
    return [
        ev.PartStarted(at=3, part=part, kind=kind),
        *(ev.Delta(at=3, part=part, text=piece) for piece in pieces),
        ev.PartDone(at=3, part=part),
    ]


def call(part: int, *pieces: str, where: Any = "client") -> list[ev.Event]:
    """A tool call with its arguments, complete."""
    return [
        ev.ToolCall(at=3, part=part, call_id=f"call-{part}", name="look", where=where),
        *(ev.Delta(at=3, part=part, text=piece) for piece in pieces),
        ev.PartDone(at=3, part=part),
    ]


def test_a_text_is_told_piece_by_piece() -> None:
    """The role comes first and once, then each piece of the text, then how it ended; the ids and times are the request's."""
    projection, frames = fed([*BEGIN, *text(0, "Hel", "lo."), DONE])
    assert deltas(frames) == [
        {"role": "assistant", "content": "", "refusal": None},
        {"content": "Hel"},
        {"content": "lo."},
        {},
    ]
    assert [frame["choices"][0]["finish_reason"] for frame in frames] == [None, None, None, "stop"]
    assert {(frame["id"], frame["created"], frame["model"]) for frame in frames} == {
        ("chatcmpl-r-1", 1_760_000_000, "demo-large")
    }
    assert projection.ended
    assert projection.done_marker
    assert projection.failure is None


def test_the_model_is_the_agent_where_no_model_was_named() -> None:
    """A request that another door took has no model; its agent is shown as one."""
    asked = Asked(request_id="r-1", agent="demo", created_at=0)
    assert CompletionsProjection(asked, include_usage=False).completion()["model"] == "demo"


def test_reasoning_has_its_own_field() -> None:
    """Reasoning is told as reasoning_content, and the SDK keeps it beside the text."""
    projection, frames = fed([*BEGIN, *text(0, "Hm.", kind="reasoning"), *text(1, "Yes."), DONE])
    assert (written(frames, "reasoning_content"), written(frames, "content")) == ("Hm.", "Yes.")
    message = ChatCompletion.model_validate(projection.completion()).choices[0].message
    assert (message.content, (message.model_extra or {})["reasoning_content"]) == ("Yes.", "Hm.")


def test_calls_for_the_client_are_told_and_those_of_the_server_are_not() -> None:
    """Each call for the client has its own index; the answer that ends with one is finished by tool_calls, also where the
    agent said stop."""
    events = [
        *BEGIN, *call(0, "{}", where="server"), ev.ToolResult(at=3, part=0, output="1"), *call(1, '{"a":', "1}"), *call(2, "{}"),
    ]  # fmt: skip
    projection, frames = fed([*events, DONE])
    calls = [delta["tool_calls"][0] for delta in deltas(frames) if "tool_calls" in delta]
    assert calls == [
        {
            "index": 0,
            "id": "call-1",
            "type": "function",
            "function": {"name": "look", "arguments": ""},
        },
        {"index": 0, "function": {"arguments": '{"a":'}},
        {"index": 0, "function": {"arguments": "1}"}},
        {
            "index": 1,
            "id": "call-2",
            "type": "function",
            "function": {"name": "look", "arguments": ""},
        },
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    choice = ChatCompletion.model_validate(projection.completion()).choices[0]
    assert (frames[-1]["choices"][0]["finish_reason"], choice.finish_reason) == ("tool_calls", "tool_calls")
    assert choice.message.content is None
    assert [made.id for made in choice.message.tool_calls or []] == ["call-1", "call-2"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("tool_calls", "tool_calls"),
        ("bored", "stop"),
    ],
)
def test_how_it_ended(code: str, reason: str) -> None:
    """OpenAI's codes are told as they are, any other is stop."""
    projection, frames = fed([*BEGIN, ev.Completed(at=9, code=code)])
    assert frames[-1]["choices"][0]["finish_reason"] == reason
    assert projection.completion()["choices"][0]["finish_reason"] == reason


def test_usage_is_a_chunk_of_its_own_where_it_was_asked_for() -> None:
    """With include_usage every chunk has the field, and a last one without choices has the tokens; the completion has them
    in any case, and nowhere is a count made up."""
    used = ev.Usage(at=3, input_tokens=3, output_tokens=4, reasoning_tokens=1, cached_tokens=2)
    projection, frames = fed([*BEGIN, used, DONE], include_usage=True)
    assert [frame["usage"] for frame in frames[:-1]] == [None, None]
    assert frames[-1]["choices"] == []
    assert frames[-1]["usage"] == projection.completion()["usage"] == {
        "prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens_details": {"reasoning_tokens": 1},
    }  # fmt: skip
    _, frames = fed([*BEGIN, used, DONE])
    assert all("usage" not in frame for frame in frames)
    projection, frames = fed([*BEGIN, DONE], include_usage=True)
    assert frames[-1]["choices"]
    assert "usage" not in projection.completion()


@pytest.mark.parametrize(
    ("outcome", "kind", "code", "message"),
    [
        (ev.Failed(at=9, code="upstream", message="No answer."), "server_error", "upstream", "No answer."),
        (ev.Cancelled(at=9, code="user"), "cancelled", "cancelled", "The request was cancelled (user)."),
        (
            ev.TimedOut(at=9, code="stall"),
            "server_error",
            "timed_out",
            "The request ran out of time (stall).",
        ),
        (ev.Interrupted(at=9, code="restart", message="It died."), "server_error", "interrupted", "It died."),
    ],
)
def test_what_did_not_complete_ends_in_an_error(
    outcome: ev.Outcome, kind: str, code: str, message: str
) -> None:
    """The last frame says why, in OpenAI's shape; nothing says that the answer is whole, and what was shown still stands."""
    projection, frames = fed([*BEGIN, *text(0, "Hel"), outcome])
    assert frames[-1] == {"error": {"message": message, "type": kind, "param": None, "code": code}}
    assert projection.ended
    assert not projection.done_marker
    assert projection.failure == outcome
    assert projection.completion()["choices"][0]["message"]["content"] == "Hel"


def test_text_that_was_shown_and_dropped_ends_the_stream() -> None:
    """A chunk cannot be taken back: the stream ends in attempt_superseded, and the completion is what stands in the end."""
    again = ev.Started(at=4, attempt=2, term=1, nonce="c" * 8, keep="none", reason="retry")
    projection, frames = fed([*BEGIN, *text(0, "Wrong."), again, *text(0, "Right."), DONE])
    assert frames[-1]["error"]["code"] == "attempt_superseded"
    assert written(frames, "content") == "Wrong."
    assert projection.ended
    assert not projection.done_marker
    assert projection.failure is None
    assert projection.completion()["choices"][0]["message"]["content"] == "Right."


def test_an_attempt_that_drops_nothing_shown_goes_on() -> None:
    """Work that is not shown here, and a text of which no piece had come, may be dropped; a kept text is not told again."""
    progress = ev.Progress(at=3, part=1, id="load", label="Loading")
    events = [
        *BEGIN, *text(0, "One. "), ev.Checkpoint(at=3), progress, ev.PartStarted(at=3, part=2, kind="text"),
        ev.Started(at=4, attempt=2, term=1, nonce="c" * 8, keep=5, reason="retry"), *text(1, "Two."), DONE,
    ]  # fmt: skip
    projection, frames = fed(events)
    assert [delta for delta in deltas(frames) if "role" in delta] == deltas(frames)[:1]
    assert written(frames, "content") == "One. Two."
    assert projection.done_marker


def test_a_wait_is_silent() -> None:
    """While somebody is asked nothing is told, and afterwards the same answer goes on."""
    wait = ev.Waiting(at=3, part=0, wait_id="w", kind="approval")
    resumed = ev.Started(at=4, attempt=1, term=2, nonce="c" * 8, reason="resumed")
    decided = ev.Decided(at=5, part=0, wait_id="w", decision=True)
    _, frames = fed([*BEGIN, wait, resumed, decided, *text(1, "Yes."), DONE])
    assert len(frames) == 3
    assert written(frames, "content") == "Yes."


def client_calls(value: Transcript) -> list[tuple[str, str, str]]:
    """The calls that the client is to run: id, name, arguments."""
    return [
        (part.call_id, part.name, part.arguments)
        for part in value.parts
        if isinstance(part, ToolPart) and part.where == "client"
    ]


@given(histories())
@settings(max_examples=150)
def test_for_any_log_the_chunks_are_the_completion(log: list[ev.Event]) -> None:
    """For every legal log: chunks are what the SDK reads, at most one ending, last; put together they are what stands, unless
    the stream was cut by a supersede; and the completion is the transcript's, also from a snapshot or merged pages."""
    projection, frames = fed(log, include_usage=True)
    value = fold(log)
    chunks = [ChatCompletionChunk.model_validate(frame) for frame in frames if "error" not in frame]
    ends = [chunk for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    errors = [frame["error"]["code"] for frame in frames if "error" in frame]
    assert len(ends) + len(errors) == projection.ended
    assert all("error" not in frame for frame in frames[:-1])
    message = projection.completion()["choices"][0]["message"]
    assert (message["content"] or "") == value.text
    reasoning = "".join(part.text for part in value.parts if isinstance(part, ReasoningPart))
    assert message.get("reasoning_content", "") == reasoning
    made = [
        (c["id"], c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls", [])
    ]
    assert made == client_calls(value)
    if "attempt_superseded" not in errors:
        assert written(frames, "content") == value.text
        assert written(frames, "reasoning_content") == reasoning
        pieces: dict[int, list[str]] = {}
        for delta in deltas(frames):
            for piece in delta.get("tool_calls", []):
                pieces.setdefault(piece["index"], []).append(piece["function"]["arguments"])
        assert ["".join(pieces[index]) for index in sorted(pieces)] == [arguments for _, _, arguments in made]
    for short in (events_of(value), page_of(log, 0, None, 10**9)[0]):
        other, _ = fed(short, include_usage=True)
        assert other.completion() == projection.completion()
    other, frames = fed(events_of(value))
    assert written(frames, "content") == value.text
    assert "attempt_superseded" not in [frame["error"]["code"] for frame in frames if "error" in frame]

"""Laws of the Responses projection over every log that a correct writer may have written."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from holdfast_protocol import events as ev
from holdfast_protocol.fold import fold
from holdfast_protocol.rewrite import events_of
from holdfast_protocol.transcript import ReasoningPart, SourcePart, TextPart, ToolPart
from holdfast_server.projections.base import Asked
from holdfast_server.projections.responses import ResponsesProjection, is_extension
from tests.support.responses_sdk import Gathered, check_frame, check_response
from tests.support.strategies import histories

ASKED = Asked(request_id="r-1", agent="demo", created_at=1_760_000_000_999)
TERMINAL = {"response.completed", "response.failed", "response.incomplete"}


def fed(events: list[ev.Event]) -> tuple[ResponsesProjection, list[dict[str, Any]]]:
    """A projection that was fed these events, and its frames."""
    projection = ResponsesProjection(ASKED)
    return projection, [frame for event in events for frame in projection.apply(event)]


def notes_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    """What a message cites."""
    notes: list[dict[str, Any]] = item["content"][0]["annotations"]
    return notes


def texts_of(events: list[ev.Event], kind: type[TextPart | ReasoningPart]) -> list[str]:
    """The texts of the transcript's parts of a kind."""
    return [part.text for part in fold(events).parts if isinstance(part, kind)]


@given(histories())
def test_numbers_are_dense_and_one_event_ends_the_stream(events: list[ev.Event]) -> None:
    """Sequence numbers count from 0 without a hole, and exactly one terminal event comes, last, once the log has ended."""
    projection, frames = fed(events)
    assert [frame["sequence_number"] for frame in frames] == list(range(projection.number))
    ends = [place for place, frame in enumerate(frames) if frame["type"] in TERMINAL]
    assert ends == ([len(frames) - 1] if projection.ended else [])
    assert projection.ended == any(isinstance(event, ev.OUTCOMES) for event in events)


@given(histories())
def test_every_frame_is_of_openais_types(events: list[ev.Event]) -> None:
    """Every stream event, and the object after each of them, is what OpenAI's types say, to the letter."""
    projection = ResponsesProjection(ASKED)
    for event in events:
        for frame in projection.apply(event):
            check_frame(frame)
        check_response(projection.response())


@given(histories(ended=True))
def test_what_stands_is_the_transcript(events: list[ev.Event]) -> None:
    """The deltas of the items that stand are the transcript's texts, and so is the last Response's output."""
    _, frames = fed(events)
    output = frames[-1]["response"]["output"]
    for kind, item_kind, delta in (
        (TextPart, "message", "response.output_text.delta"),
        (ReasoningPart, "reasoning", "response.reasoning_text.delta"),
    ):
        items = [item for item in output if item["type"] == item_kind]
        told = [
            "".join(f["delta"] for f in frames if f["type"] == delta and f["item_id"] == item["id"])
            for item in items
        ]
        assert told == [item["content"][0]["text"] for item in items] == texts_of(events, kind)
    calls = [item for item in output if item["type"] in ("function_call", "mcp_call")]
    tools = [part for part in fold(events).parts if isinstance(part, ToolPart)]
    assert [item["arguments"] for item in calls] == [part.arguments for part in tools]
    assert [item["type"] == "mcp_call" for item in calls] == [part.where == "server" for part in tools]
    cited = [note["url"] for item in output if item["type"] == "message" for note in notes_of(item)]
    sources = [part.url for part in fold(events).parts if isinstance(part, SourcePart)]
    assert sorted(cited) == (sorted(sources) if texts_of(events, TextPart) else [])


@given(histories(ended=True))
def test_the_sdk_gathers_the_same(events: list[ev.Event]) -> None:
    """OpenAI's own accumulator takes every stream without complaint, with our own events or without; each item it has open
    is closed, and no place in it is used twice."""
    _, frames = fed(events)
    Gathered(frames)
    gathered = Gathered([frame for frame in frames if not is_extension(frame)])
    added = [frame["output_index"] for frame in frames if frame["type"] == "response.output_item.added"]
    assert added == list(range(len(added))) == sorted(gathered.items)
    done = {frame["output_index"]: frame for frame in frames if frame["type"] == "response.output_item.done"}
    assert sorted(done) == added
    for item in frames[-1]["response"]["output"]:
        last = next(frame["item"] for frame in done.values() if frame["item"]["id"] == item["id"])
        if item["type"] == "message":
            gathered_text = gathered.items[int(item["id"].rpartition("_")[2])].content[0].text
            assert gathered_text == item["content"][0]["text"] == last["content"][0]["text"]
        else:
            assert last == item
    if frames[-1]["type"] == "response.completed":
        assert gathered.completed is not None
        assert gathered.completed.output_text == "".join(texts_of(events, TextPart))
    else:
        assert gathered.completed is None


@given(histories())
def test_a_merged_log_has_the_same_object(events: list[ev.Event]) -> None:
    """Fed the log as it is made again from its transcript, the object is that of the log as it was written, but for what
    tells of the way there: the numbers in the items' ids, where results of the client's tools stand, where in a text
    something was cited, and, at a bad end, which texts were still open."""
    whole, _ = fed(events)
    merged, _ = fed(events_of(fold(events)))
    bad_end = whole.ended and whole.response()["status"] != "completed"

    def settled(response: dict[str, Any]) -> dict[str, Any]:
        items = [{**item, "id": ""} for item in response["output"]]
        for item in items:
            if bad_end and item["type"] in ("message", "reasoning"):
                item["status"] = ""
            for content in item.get("content", []):
                for note in content.get("annotations", []):
                    note["start_index"] = note["end_index"] = 0
        outputs = [item for item in items if item["type"] == "function_call_output"]
        outputs.sort(key=lambda item: str(item["call_id"]))
        others = [item for item in items if item["type"] != "function_call_output"]
        return {**response, "output": [*others, *outputs]}

    assert settled(merged.response()) == settled(whole.response())

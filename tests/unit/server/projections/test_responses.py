"""The Responses projection, event by event: what is told of each, what stands, and what the object says."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.errors import IllegalEvent
from holdfast_server.projections.base import Asked
from holdfast_server.projections.responses import ResponsesProjection
from tests.support.responses_sdk import Gathered, check_frame, check_response

ASKED = Asked(request_id="r-1", agent="demo", created_at=1_760_000_000_999)
ACCEPTED = ev.Accepted(at=1, nonce="a" * 8, agent="demo")
BEGIN: list[ev.Event] = [ACCEPTED, ev.Started(at=2, attempt=1, term=1, nonce="b" * 8)]
DONE = ev.Completed(at=9_999, code="stop")


def again(keep: ev.Keep, attempt: int = 2) -> ev.Started:
    """The next attempt."""
    return ev.Started(at=5, attempt=attempt, term=attempt, nonce="c" * 8, keep=keep, reason="retry")


def text(part: int, *pieces: str, kind: Any = "text", done: bool = True) -> list[ev.Event]:
    """A part of text."""
    out: list[ev.Event] = [ev.PartStarted(at=3, part=part, kind=kind)]
    out += [ev.Delta(at=3, part=part, text=piece) for piece in pieces]
    return [*out, ev.PartDone(at=4, part=part)] if done else out


def call(part: int, call_id: str, arguments: str = "{}", *, where: Any = "client") -> list[ev.Event]:
    """A whole tool call."""
    return [
        ev.ToolCall(at=3, part=part, call_id=call_id, name="look", where=where),
        ev.Delta(at=3, part=part, text=arguments),
        ev.PartDone(at=4, part=part),
    ]


def fed(*events: ev.Event, asked: Asked = ASKED) -> tuple[ResponsesProjection, list[Any]]:
    """A projection that was fed these events, and its frames, which OpenAI's own code takes."""
    projection = ResponsesProjection(asked)
    frames = [frame for event in events for frame in projection.apply(event)]
    for frame in frames:
        check_frame(frame)
    check_response(projection.response())
    Gathered(frames)
    return projection, frames


def kinds(frames: list[Any]) -> list[str]:
    """What they are called, without what all names begin with."""
    return [frame["type"].removeprefix("response.") for frame in frames]


def test_a_text_is_told_in_the_order_that_clients_need() -> None:
    """An answer of one text: created, queued, in progress; item, part, deltas, and their ends; completed."""
    projection, frames = fed(*BEGIN, *text(0, "Hel", "", "lo"), DONE)
    assert kinds(frames) == [
        "created", "queued", "in_progress", "output_item.added", "content_part.added", "output_text.delta",
        "output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [frame["sequence_number"] for frame in frames] == list(range(11))
    assert projection.number == 11
    assert projection.ended
    message = frames[-1]["response"]["output"][0]
    assert (message["id"], message["status"]) == ("msg_r-1_0", "completed")
    assert message == frames[9]["item"] == projection.output()[0]
    completed = Gathered(frames).completed
    assert completed is not None
    assert completed.output_text == "Hello"


def test_the_object_follows_the_log() -> None:
    """It can be asked for at any time, and shows the status, what is there so far, and the attempt."""
    projection = ResponsesProjection(ASKED)
    seen = []
    for event in [*BEGIN, *text(0, "Hel", done=False), DONE]:
        projection.apply(event)
        value = projection.response()
        shown = value["output"][0]["content"][0]["text"] if value["output"] else None
        seen.append((value["status"], value["holdfast"]["attempt"], shown))
    assert seen == [
        ("queued", 0, None),
        ("in_progress", 1, None),
        ("in_progress", 1, ""),
        ("in_progress", 1, "Hel"),
        ("completed", 1, "Hel"),
    ]
    assert projection.response()["completed_at"] == 9


def test_reasoning_is_an_item_of_its_own() -> None:
    """Reasoning has its text as content, no summary, and comes before the message as it did in the log."""
    _, frames = fed(*BEGIN, *text(0, "Hm", kind="reasoning"), *text(1, "Yes"), DONE)
    assert kinds(frames)[3:9] == [
        "output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done",
        "output_item.done",
    ]  # fmt: skip
    reasoning, message = frames[-1]["response"]["output"]
    assert reasoning == {
        "id": "rs_r-1_0",
        "type": "reasoning",
        "status": "completed",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "Hm"}],
    }
    assert message["id"] == "msg_r-1_1"


def test_a_call_for_the_client_is_a_function_call() -> None:
    """Its arguments come as deltas, and the completed Response holds the whole call."""
    _, frames = fed(*BEGIN, *call(0, "c1", '{"a":1}'), ev.Completed(at=9, code="tool_calls"))
    assert kinds(frames)[3:7] == [
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
    ]  # fmt: skip
    assert frames[-1]["type"] == "response.completed"
    assert frames[-1]["response"]["output"] == [
        {
            "id": "fc_r-1_0",
            "type": "function_call",
            "status": "completed",
            "call_id": "c1",
            "name": "look",
            "arguments": '{"a":1}',
        }
    ]


@pytest.mark.parametrize(("is_error", "status"), [(False, "completed"), (True, "failed")])
def test_a_call_of_the_servers_is_not_for_the_client_to_run(is_error: bool, status: str) -> None:
    """It is an mcp_call with its output or its error, so no client takes it for one that it has to answer."""
    result = ev.ToolResult(at=4, part=0, output="42", is_error=is_error)
    projection, frames = fed(*BEGIN, *call(0, "c1", where="server"), result)
    assert kinds(frames)[3:] == [
        "output_item.added", "mcp_call.in_progress", "mcp_call_arguments.delta", "mcp_call_arguments.done",
        f"mcp_call.{status}", "output_item.done",
    ]  # fmt: skip
    (item,) = projection.output()
    assert (item["type"], item["status"], item["server_label"]) == ("mcp_call", status, "holdfast")
    assert item["output"] == (None if is_error else "42")
    assert (item["error"] is None) == (not is_error)


def test_the_clients_result_stands_beside_its_call() -> None:
    """Where a request got the result of a client's tool, the call is not left as one that waits for an answer."""
    projection, _ = fed(*BEGIN, *call(0, "c1"), ev.ToolResult(at=4, part=0, output="42"))
    asked, answered = projection.output()
    assert (asked["type"], answered["type"]) == ("function_call", "function_call_output")
    assert (answered["call_id"], answered["output"]) == ("c1", "42")


def test_an_attempt_that_drops_an_item_says_so() -> None:
    """The open item ends incomplete, new items get new numbers, and the last output lists what stands."""
    projection, frames = fed(*BEGIN, *text(0, "Ol", done=False), again("none"), *text(0, "New"), DONE)
    ends = [frame["item"]["status"] for frame in frames if frame["type"] == "response.output_item.done"]
    assert ends == ["incomplete", "completed"]
    (superseded,) = [frame for frame in frames if frame["type"] == "holdfast.superseded"]
    assert (superseded["item_ids"], superseded["attempt"]) == (["msg_r-1_0"], 2)
    assert [item["id"] for item in projection.output()] == ["msg_r-1_1"]
    assert kinds(frames).count("in_progress") == 1


def test_what_stood_at_a_kept_checkpoint_stands() -> None:
    """An attempt from a checkpoint keeps the items before it, and drops what was cited on them since."""
    source = ev.Source(at=4, part=1, id="s", url="https://example.org/")
    projection, frames = fed(
        *BEGIN,
        *text(0, "Kept"),
        ev.Checkpoint(at=4),
        source,
        *text(2, "Gone"),
        again(5),
        *text(1, "New"),
        DONE,
    )
    first, second = projection.output()
    assert (first["id"], first["content"][0]["annotations"]) == ("msg_r-1_0", [])
    assert second["id"] == "msg_r-1_2"
    (superseded,) = [frame for frame in frames if frame["type"] == "holdfast.superseded"]
    assert superseded["item_ids"] == ["msg_r-1_1"]


def test_an_attempt_that_keeps_all_says_nothing() -> None:
    """The open part grows on in its item."""
    projection, frames = fed(
        *BEGIN, *text(0, "One, ", done=False), again("all"), ev.Delta(at=6, part=0, text="two")
    )
    assert kinds(frames)[5:] == ["output_text.delta", "output_text.delta"]
    assert projection.output()[0]["content"][0]["text"] == "One, two"


def test_a_dropped_call_that_comes_again_keeps_its_place() -> None:
    """OpenAI's client breaks off if two items have one call id: the call is told once more, whole, in its old place."""
    projection, frames = fed(
        *BEGIN, *call(0, "c1", '{"a":1}'), again("none"), *text(0, "So"), *call(1, "c1", '{"a":2}'), DONE
    )
    assert [item["id"] for item in projection.output()] == ["msg_r-1_1", "fc_r-1_0"]
    done = [
        frame
        for frame in frames
        if frame["type"] == "response.output_item.done" and frame["output_index"] == 0
    ]
    assert [frame["item"]["arguments"] for frame in done] == ['{"a":1}', '{"a":2}']
    assert kinds(frames).count("function_call_arguments.delta") == 1


def test_two_standing_calls_never_share_an_id() -> None:
    """An agent that uses a call id twice makes two calls that can be answered apart."""
    projection, _ = fed(*BEGIN, *call(0, "c1"), *call(1, "c1"), DONE)
    assert [item["call_id"] for item in projection.output()] == ["c1", "c1_1"]


def test_a_source_is_cited_by_the_message_before_it() -> None:
    """Where the text ended when it was cited; a source before any text is told at once, and cited by the next message."""
    early = ev.Source(at=3, part=0, id="s0", url="https://example.org/0", title="Zero")
    later = ev.Source(at=3, part=2, id="s1", url="https://example.org/1")
    _, frames = fed(*BEGIN, early, *text(1, "漢𝔘", done=False), later, DONE)
    assert kinds(frames)[3] == "holdfast.source"
    notes = frames[-1]["response"]["output"][0]["content"][0]["annotations"]
    assert [(note["url"], note["start_index"]) for note in notes] == [
        ("https://example.org/0", 0),
        ("https://example.org/1", 2),
    ]
    told = [frame["annotation"] for frame in frames if frame["type"].endswith("annotation.added")]
    assert told == notes


def test_a_source_that_outlives_its_message_is_cited_by_the_next() -> None:
    """A source before a kept checkpoint stands where the message that cited it does not: the new message cites it."""
    source = ev.Source(at=3, part=0, id="s", url="https://example.org/")
    projection, _ = fed(
        *BEGIN, source, ev.Checkpoint(at=3), *text(1, "Gone"), again(3), *text(1, "New"), DONE
    )
    (message,) = projection.output()
    assert [note["url"] for note in message["content"][0]["annotations"]] == ["https://example.org/"]


def test_what_openai_has_no_word_for_is_told_in_ours() -> None:
    """Progress, data, files, inputs and waits are events of our own; a wait leaves the Response in progress."""
    projection, frames = fed(
        *BEGIN,
        ev.Progress(at=3, part=0, id="p", label="Reading", step=1, total=2, percent=50.0),
        ev.Data(at=3, part=1, id="d", name="chart", data=[1]),
        ev.File(at=3, part=2, id="f", url="/f.pdf", name="f.pdf"),
        ev.Input(at=3, part=3, id="i", text="faster"),
        ev.Checkpoint(at=3),
        ev.Unknown(at=3, type="later", part=4),
        ev.Waiting(at=3, part=5, wait_id="w", kind="approval", body={"q": 1}, digest="d"),
    )
    assert kinds(frames)[3:] == [
        "holdfast.progress", "holdfast.data", "holdfast.file", "holdfast.input", "holdfast.waiting",
    ]  # fmt: skip
    assert frames[3] == {
        "type": "holdfast.progress", "sequence_number": 3, "id": "p", "label": "Reading", "kind": "step", "step": 1,
        "total": 2, "percent": 50.0, "state": "running",
    }  # fmt: skip
    value = projection.response()
    assert (value["status"], value["holdfast"]["status"]) == ("in_progress", "waiting")
    projection.apply(again("all"))
    (decided,) = projection.apply(ev.Decided(at=6, part=5, wait_id="w", decision=True))
    assert (decided["type"], decided["decision"], decided["expired"]) == ("holdfast.decided", True, False)


@pytest.mark.parametrize(
    ("outcome", "kind", "status", "reason"),
    [
        (ev.Completed(at=9, code="stop"), "completed", "completed", None),
        (ev.Completed(at=9, code="tool_calls"), "completed", "completed", None),
        (ev.Completed(at=9, code="length"), "incomplete", "incomplete", "max_output_tokens"),
        (ev.Completed(at=9, code="content_filter"), "incomplete", "incomplete", "content_filter"),
        (ev.Cancelled(at=9, code="user"), "incomplete", "cancelled", None),
        (ev.Failed(at=9, code="internal"), "failed", "failed", None),
        (ev.TimedOut(at=9, code="stall"), "failed", "failed", None),
        (ev.Interrupted(at=9, code="restarts"), "failed", "failed", None),
    ],
)
def test_outcomes(outcome: ev.Outcome, kind: str, status: str, reason: str | None) -> None:
    """Each outcome has its terminal event and status; what was open is closed before it."""
    _, frames = fed(*BEGIN, *text(0, "So f", done=False), outcome)
    last = frames[-1]["response"]
    assert (frames[-1]["type"], last["status"]) == (f"response.{kind}", status)
    assert (last["incomplete_details"] or {}).get("reason") == reason
    assert last["output"][0]["status"] == ("completed" if status == "completed" else "incomplete")
    assert (last["error"] is not None) == (status == "failed")
    assert last["holdfast"]["code"] == outcome.code


def test_a_failure_says_why() -> None:
    """The sentence is the outcome's; the code is one that OpenAI's closed list has, and ours is beside it."""
    for code, theirs in (("rate_limited", "rate_limit_exceeded"), ("agent_error", "server_error")):
        failed = ev.Failed(at=9, code=code, message="No luck.", retryable=True)
        projection, frames = fed(ACCEPTED, failed)
        assert kinds(frames) == ["created", "queued", "failed"]
        value = projection.response()
        assert value["error"] == {"code": theirs, "message": "No luck."}
        assert value["holdfast"] == {
            "request_id": "r-1", "status": "failed", "attempt": 0, "code": code, "retryable": True,
        }  # fmt: skip


def test_a_call_that_was_cut_off_is_not_told_as_whole() -> None:
    """No client may run a call whose arguments are not all there: it has no arguments.done, and ends incomplete."""
    opened: list[ev.Event] = [
        ev.ToolCall(at=3, part=0, call_id="c", name="look", where="client"),
        ev.Delta(at=3, part=0, text='{"'),
    ]
    _, frames = fed(*BEGIN, *opened, DONE)
    assert "function_call_arguments.done" not in kinds(frames)
    assert frames[-1]["response"]["output"][0]["status"] == "incomplete"


def test_usage_is_in_the_object() -> None:
    """Tokens with their details, as of the last account; nothing of it is told before the end."""
    usage = ev.Usage(at=3, input_tokens=7, output_tokens=3, reasoning_tokens=2, cached_tokens=1)
    projection, frames = fed(*BEGIN, usage)
    assert len(frames) == 3
    assert projection.response()["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 10,
    }


def test_an_event_that_does_not_fit_changes_nothing() -> None:
    """After an illegal event the projection goes on as if it had not come."""
    projection, _ = fed(*BEGIN)
    with pytest.raises(IllegalEvent):
        projection.apply(ev.Delta(at=3, part=4, text="x"))
    assert projection.number == 3
    assert kinds(projection.apply(DONE)) == ["completed"]

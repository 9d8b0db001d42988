"""The AI SDK's UI message stream from a log: what each event is told as, and what no log may break."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_protocol import events as ev
from holdfast_protocol.codec import decode_events, encode_events
from holdfast_protocol.fold import fold
from holdfast_protocol.rewrite import events_of, page_of
from holdfast_server.projections.base import Asked
from holdfast_server.projections.ui_stream import RELOAD, UiStreamProjection
from tests.support.strategies import histories

ASKED = Asked(request_id="r-1", agent="demo", created_at=1)
BEGIN: list[ev.Event] = [
    ev.Accepted(at=1, nonce="a" * 8, agent="demo"),
    ev.Started(at=2, attempt=1, term=1, nonce="b" * 8),
]
AGAIN = ev.Started(at=4, attempt=2, term=1, nonce="c" * 8, keep="none", reason="retry")
DONE = ev.Completed(at=9, code="stop")
DYNAMIC = {"dynamic": True, "providerExecuted": True}
STOPS = ("finish", "abort", "error")


def fed(events: list[Any], *, reset_steps: bool = True) -> list[dict[str, Any]]:
    """The chunks that these events make."""
    projection = UiStreamProjection(ASKED, reset_steps=reset_steps)
    return [chunk for event in events for chunk in projection.apply(event)]


def output(events: list[Any], **options: bool) -> list[dict[str, Any]]:
    """What these events make, after the beginning, without metadata."""
    chunks = fed([*BEGIN, *events], **options)[2:]
    return [chunk for chunk in chunks if chunk["type"] != "message-metadata"]


def shown(chunks: list[dict[str, Any]], kind: str = "text") -> list[str]:
    """The texts of one kind that a reader has in the end, in order."""
    texts: dict[str, str] = {}
    for chunk in chunks:
        if chunk["type"] == "reset-step":
            texts.clear()
        elif chunk["type"] == f"{kind}-start":
            assert chunk["id"] not in texts, "an id was used twice"
            texts[chunk["id"]] = ""
        elif chunk["type"] == f"{kind}-delta":
            texts[chunk["id"]] += chunk["delta"]
    return list(texts.values())


def test_an_answer_is_one_message_with_one_step() -> None:
    """It starts with the request's id, tells the text piece by piece, and finishes with reason, status and usage."""
    used = ev.Usage(at=3, input_tokens=3, output_tokens=4)
    text = [ev.PartStarted(at=3, part=0, kind="text"), ev.Delta(at=3, part=0, text="Hel"), ev.PartDone(at=3, part=0)]  # fmt: skip
    chunks = fed([*BEGIN, *text, used, DONE])
    about = {"requestId": "r-1", "agent": "demo", "attempt": 1, "status": "running"}
    usage = {
        "type": "usage", "at": 3, "span": 1, "input_tokens": 3, "output_tokens": 4, "reasoning_tokens": 0, "cached_tokens": 0,
        "estimated": False,
    }  # fmt: skip
    assert chunks == [
        {
            "type": "start",
            "messageId": "r-1",
            "messageMetadata": {**about, "attempt": 0, "status": "queued"},
        },
        {"type": "start-step"},
        {"type": "text-start", "id": "r-1.0.0"},
        {"type": "message-metadata", "messageMetadata": about},
        {"type": "text-delta", "id": "r-1.0.0", "delta": "Hel"},
        {"type": "text-end", "id": "r-1.0.0"},
        {"type": "message-metadata", "messageMetadata": {**about, "usage": usage}},
        {"type": "finish-step"},
        {
            "type": "finish",
            "finishReason": "stop",
            "messageMetadata": {**about, "status": "completed", "usage": usage},
        },
    ]


def test_a_message_of_the_clients_own_goes_on() -> None:
    """With a message id the chunks belong to that message; the metadata still names the request."""
    (start, _) = UiStreamProjection(ASKED, reset_steps=True, message_id="m-9").apply(BEGIN[0])
    assert (start["messageId"], start["messageMetadata"]["requestId"]) == ("m-9", "r-1")


def test_a_tool_of_the_server() -> None:
    """The arguments are told as they come, then as a value, then the result as a value where it is JSON."""
    call = [
        ev.ToolCall(at=3, part=0, call_id="t-1", name="look"),
        ev.Delta(at=3, part=0, text='{"q":'),
        ev.Delta(at=3, part=0, text="1}"),
        ev.PartDone(at=3, part=0),
    ]
    named = {"toolCallId": "t-1", "toolName": "look", **DYNAMIC}
    told = [
        {"type": "tool-input-start", **named},
        {"type": "tool-input-delta", "toolCallId": "t-1", "inputTextDelta": '{"q":'},
        {"type": "tool-input-delta", "toolCallId": "t-1", "inputTextDelta": "1}"},
        {"type": "tool-input-available", **named, "input": {"q": 1}},
    ]
    assert output(call) == told
    end = {"toolCallId": "t-1", "dynamic": True}
    ends: list[tuple[ev.Event, dict[str, Any]]] = [
        (ev.ToolResult(at=3, part=0, output="[2]"), {"type": "tool-output-available", "output": [2]}),
        (ev.ToolResult(at=3, part=0, output="two"), {"type": "tool-output-available", "output": "two"}),
        (
            ev.ToolResult(at=3, part=0, output="No.", is_error=True),
            {"type": "tool-output-error", "errorText": "No."},
        ),
    ]
    for result, last in ends:
        assert output([*call, result]) == [*told, {**last, **end}]
    lost = output([*call, DONE])
    assert lost[4] == {"type": "tool-output-error", "errorText": "It may or may not have run.", **end}


@pytest.mark.parametrize("text", ["{", "NaN", "1e999", "[" * 100_000])
def test_arguments_that_are_no_json(text: str) -> None:
    """They are told as the text that they are, as an error of the input; a result may follow all the same."""
    call = [
        ev.ToolCall(at=3, part=0, call_id="t-1", name="look"),
        ev.Delta(at=3, part=0, text=text),
        ev.PartDone(at=3, part=0),
        ev.ToolResult(at=3, part=0, output="Say it in JSON.", is_error=True),
    ]
    told, result = output(call)[2:]
    assert (told["type"], told["input"], told["errorText"]) == (
        "tool-input-error",
        text,
        "The arguments are not JSON.",
    )
    assert result["errorText"] == "Say it in JSON."


def test_a_tool_of_the_client_stands_without_a_result() -> None:
    """The client is to run it: it is not executed by the provider, has no output, and the message finishes by tool-calls."""
    call = [ev.ToolCall(at=3, part=0, call_id="t-1", name="ask", where="client"), ev.PartDone(at=3, part=0)]
    chunks = output([*call, DONE])
    named = {"toolCallId": "t-1", "toolName": "ask", "dynamic": True, "providerExecuted": False}
    assert chunks[:2] == [
        {"type": "tool-input-start", **named},
        {"type": "tool-input-available", **named, "input": {}},
    ]
    assert [chunk["type"] for chunk in chunks[2:]] == ["finish-step", "finish"]
    assert chunks[-1]["finishReason"] == "tool-calls"


def test_two_calls_with_one_id_stay_two() -> None:
    """Where a model counts its calls from zero again, the second has the number of its part added; a call that was taken back
    is not counted."""
    calls: list[ev.Event] = [
        ev.ToolCall(at=3, part=0, call_id="call_0", name="look"),
        ev.ToolCall(at=3, part=1, call_id="call_0", name="look"),
    ]
    assert [chunk["toolCallId"] for chunk in output(calls)] == ["call_0", "call_0~1"]
    told = [chunk["toolCallId"] for chunk in output([calls[0], AGAIN, calls[0]]) if "toolCallId" in chunk]
    assert told == ["call_0", "call_0"]


def test_what_is_cited_and_made() -> None:
    """Sources and files have their own chunks; a source without a title has none."""
    events: list[ev.Event] = [
        ev.Source(at=3, part=0, id="s-1", url="https://one.example", title="One"),
        ev.Source(at=3, part=1, id="s-2", url="https://two.example"),
        ev.File(at=3, part=2, id="f-1", url="/files/1", media_type="image/png", name="one.png"),
    ]
    assert output(events) == [
        {"type": "source-url", "sourceId": "s-1", "url": "https://one.example", "title": "One"},
        {"type": "source-url", "sourceId": "s-2", "url": "https://two.example"},
        {"type": "file", "url": "/files/1", "mediaType": "image/png"},
    ]


def test_progress_is_replaced_in_its_place() -> None:
    """It is a data part whose id stays, as all fields of the part; what still ran at the end is told as done, or stopped."""
    first, second = output(
        [ev.Progress(at=3, part=0, id="load", label="Load", percent=p) for p in (1.0, 2.0)]
    )
    assert first == {
        "type": "data-progress",
        "id": "r-1.0.0",
        "data": {
            "kind": "progress", "at": 3, "id": "load", "label": "Load", "step_kind": "step", "step": None, "total": None,
            "percent": 1.0, "state": "running",
        },
    }  # fmt: skip
    assert (second["id"], second["data"]["percent"]) == ("r-1.0.0", 2.0)
    ends: list[tuple[ev.Event, str]] = [(DONE, "done"), (ev.Failed(at=9, code="upstream"), "stopped")]
    for outcome, state in ends:
        assert output([ev.Progress(at=3, part=0, id="load", label="Load"), outcome])[1]["data"]["state"] == state  # fmt: skip


def test_a_value_for_the_application() -> None:
    """It has the name that the agent gave it, and is told again only when it changed; under another name the old one goes."""
    values: list[ev.Event] = [
        ev.Data(at=3, part=0, id="d", name="load", data=value) for value in (1, 1, {"b": 2})
    ]
    chunks = [{"type": "data-load", "id": "r-1.0.0", "data": value} for value in (1, {"b": 2})]
    assert output(values) == chunks
    renamed = ev.Data(at=3, part=0, id="d", name="speed", data=3)
    assert output([*values, renamed])[2:] == [
        {"type": "reset-step"},
        {"type": "data-speed", "id": "r-1.1.0", "data": 3},
    ]
    assert output([*values, renamed], reset_steps=False)[2:] == [
        {"type": "data-load", "id": "r-1.0.0", "data": None},
        {"type": "data-speed", "id": "r-1.0.0", "data": 3},
    ]


def test_a_wait_is_shown_with_its_decision() -> None:
    """Who may decide sees what is asked, and the message says that the request waits; the decision replaces the question."""
    events: list[ev.Event] = [
        *BEGIN,
        ev.Waiting(at=3, part=0, wait_id="w", kind="approval", body={"pay": 5}, digest="d"),
        ev.Started(at=4, attempt=1, term=2, nonce="c" * 8, reason="resumed"),
        ev.Decided(at=5, part=0, wait_id="w", decision=True),
    ]
    asked, waits, runs, decided = fed(events)[2:]
    assert asked == {
        "type": "data-wait",
        "id": "r-1.0.0",
        "data": {
            "kind": "wait", "at": 3, "wait_id": "w", "wait_kind": "approval", "body": {"pay": 5}, "digest": "d",
            "expires_at": None, "decision": None, "state": "open",
        },
    }  # fmt: skip
    assert [chunk["messageMetadata"]["status"] for chunk in (waits, runs)] == ["waiting", "running"]
    assert (decided["id"], decided["data"]["state"], decided["data"]["decision"]) == (
        "r-1.0.0",
        "decided",
        True,
    )


def test_what_the_person_added_is_a_data_part() -> None:
    """It stands at the place where the writer saw it, with the same fields as in the transcript."""
    (chunk,) = output([ev.Input(at=3, part=0, id="i", text="In French.")])
    assert chunk == {
        "type": "data-input",
        "id": "r-1.0.0",
        "data": {"kind": "input", "at": 3, "id": "i", "text": "In French."},
    }


@pytest.mark.parametrize(
    ("outcome", "last"),
    [
        (
            ev.Failed(at=9, code="upstream", message="No answer."),
            {"type": "error", "errorText": "No answer."},
        ),
        (ev.TimedOut(at=9, code="stall"), {"type": "error", "errorText": "The request ended as timed_out."}),
        (
            ev.Interrupted(at=9, code="restart"),
            {"type": "error", "errorText": "The request ended as interrupted."},
        ),
        (ev.Cancelled(at=9, code="user"), {"type": "abort", "reason": "user"}),
    ],
)
def test_what_did_not_complete(outcome: ev.Outcome, last: dict[str, str]) -> None:
    """Its open text is ended, the metadata has the status, and the last chunk is an error, or an abort if it was cancelled."""
    chunks = fed([*BEGIN, ev.PartStarted(at=3, part=0, kind="text"), outcome])
    assert chunks[-3] == {"type": "text-end", "id": "r-1.0.0"}
    assert chunks[-2]["messageMetadata"]["status"] == ev.KINDS[type(outcome)]
    assert chunks[-1] == last


def test_what_a_new_attempt_drops_is_taken_back() -> None:
    """The step is reset and what stands is told again under new ids; nothing is reset where nothing was dropped."""
    kept = [ev.PartStarted(at=3, part=0, kind="text"), ev.Delta(at=3, part=0, text="One. "), ev.PartDone(at=3, part=0)]  # fmt: skip
    wrong = [ev.PartStarted(at=3, part=1, kind="text"), ev.Delta(at=3, part=1, text="Wrong")]
    at_checkpoint = ev.Started(at=4, attempt=2, term=1, nonce="c" * 8, keep=5, reason="retry")
    right = [ev.PartStarted(at=5, part=1, kind="text"), ev.Delta(at=5, part=1, text="Two.")]
    chunks = fed([*BEGIN, *kept, ev.Checkpoint(at=3), *wrong, at_checkpoint, *right, DONE])
    assert shown(chunks) == ["One. ", "Two."]
    reset = next(n for n, chunk in enumerate(chunks) if chunk["type"] == "reset-step")
    assert chunks[reset + 1 : reset + 3] == [
        {"type": "text-start", "id": "r-1.1.0"},
        {"type": "text-delta", "id": "r-1.1.0", "delta": "One. "},
    ]
    assert not [chunk for chunk in fed([*BEGIN, AGAIN, DONE]) if chunk["type"] == "reset-step"]


def test_a_reader_that_cannot_take_back_is_told_to_load_again() -> None:
    """Without reset-step the texts end, an error says what to do, and nothing follows."""
    wrong = [ev.PartStarted(at=3, part=0, kind="text"), ev.Delta(at=3, part=0, text="Wrong")]
    right = [ev.PartStarted(at=5, part=0, kind="text"), ev.Delta(at=5, part=0, text="Right.")]
    chunks = output([*wrong, AGAIN, *right, DONE], reset_steps=False)
    assert chunks[-2:] == [
        {"type": "text-end", "id": "r-1.0.0"},
        {"type": "error", "errorText": RELOAD},
    ]
    assert shown(chunks) == ["Wrong"]


def test_dropped_progress_is_no_reason_to_break_off() -> None:
    """Without reset-step a step of work that a new attempt dropped stays as stopped, and the next one has an id of its own."""
    step = ev.Progress(at=3, part=0, id="load", label="Load")
    chunks = output([step, AGAIN, step, DONE], reset_steps=False)
    states = [(c["id"], c["data"]["state"]) for c in chunks if c["type"] == "data-progress"]
    assert states == [
        ("r-1.0.0", "running"),
        ("r-1.0.0", "stopped"),
        ("r-1.1.0", "running"),
        ("r-1.1.0", "done"),
    ]


@given(histories(), st.booleans())
@settings(max_examples=200)
def test_no_log_breaks_the_stream(log: list[ev.Event], reset_steps: bool) -> None:
    """For every legal log: the texts are the transcript's, or were cut by a supersede that a reader cannot take back; every
    id starts once and ends once before the end; one ending, last; resets only where they are known."""
    projection = UiStreamProjection(ASKED, reset_steps=reset_steps)
    chunks = [chunk for event in log for chunk in projection.apply(event)]
    value = fold(log)
    kinds = [chunk["type"] for chunk in chunks]
    assert kinds[:2] == ["start", "start-step"]
    assert reset_steps or "reset-step" not in kinds
    assert sum(kind in STOPS for kind in kinds) == projection.ended == (kinds[-1] in STOPS)
    if not (chunks[-1]["type"] == "error" and chunks[-1]["errorText"] == RELOAD):
        assert projection.ended == (value.outcome is not None)
        assert "".join(shown(chunks)) == value.text
    starts = Counter(c["id"] for c in chunks if c["type"] in ("text-start", "reasoning-start"))
    ends = Counter(c["id"] for c in chunks if c["type"] in ("text-end", "reasoning-end"))
    assert set(starts.values()) | set(ends.values()) <= {1}
    if projection.ended:
        lives = {chunk_id.split(".")[1] for chunk_id in starts}
        now = str(max(map(int, lives))) if lives else ""
        assert {i for i in starts if i.split(".")[1] == now} <= set(ends)


@given(histories(), st.booleans())
def test_chunks_follow_from_the_events_alone(log: list[ev.Event], reset_steps: bool) -> None:
    """Fed again, from the stored form, event by event: the same chunks."""
    stored = decode_events(encode_events(log))
    assert fed(stored, reset_steps=reset_steps) == fed(log, reset_steps=reset_steps)


@given(histories())
def test_a_snapshot_and_merged_pages_show_the_same(log: list[ev.Event]) -> None:
    """What stands is told from the start, without a reset, and the texts are those that the whole log leads to."""
    chunks = fed(log)
    for short in (events_of(fold(log)), page_of(log, 0, None, 10**9)[0]):
        other = fed(short)
        for kind in ("text", "reasoning"):
            assert "".join(shown(other, kind)) == "".join(shown(chunks, kind))
        assert (other[-1]["type"] in STOPS) == (chunks[-1]["type"] in STOPS)
    assert "reset-step" not in [chunk["type"] for chunk in fed(events_of(fold(log)))]

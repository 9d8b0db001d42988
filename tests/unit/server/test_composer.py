"""The composer: outputs in, lawful events out."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.codec import JSON, MSGPACK
from holdfast_protocol.fold import Fold
from holdfast_protocol.limits import EVENT_BYTES_MAX
from holdfast_protocol.pushes import Page
from holdfast_protocol.transcript import DataPart, ProgressPart, TextPart, ToolPart, Transcript
from holdfast_server.agents import (
    AgentFailure,
    Attach,
    Cite,
    Mark,
    Output,
    Reasoning,
    Step,
    Text,
    Tokens,
    ToolArguments,
    ToolCallBegin,
    ToolOutput,
    ToolReady,
    Value,
    Wait,
)
from holdfast_server.composer import Composer
from holdfast_server.plain import LABEL_CHARS_MAX, NAME_BYTES_MAX, wait_digest
from holdfast_server.standing import PARTS_MAX
from holdfast_server.stores.base import InboxItem

HEAD: list[ev.Event] = [
    ev.Accepted(at=0, nonce="00000000", agent="a"),
    ev.Started(at=0, attempt=1, term=1, nonce="00000001"),
]


def composed(*outputs: Output, **options: Any) -> tuple[list[ev.Event], Transcript]:
    """The events of these outputs, and what they fold to."""
    composer = Composer(HEAD, **options)
    events = [event for output in outputs for event in composer.compose(output, 5)]
    return events, Fold().apply_all(HEAD + events).transcript()


def kinds(events: list[ev.Event]) -> list[str]:
    return [ev.kind_of(event) for event in events]


def test_text_and_reasoning_close_each_other():
    """A change between text and reasoning closes the one and opens the other; more of the same grows."""
    events, transcript = composed(
        Reasoning("a"), Reasoning("b"), "c", Text("d"), Text("e", new_part=True), ""
    )
    assert kinds(events) == [
        "part_started", "delta", "delta", "part_done", "part_started", "delta", "delta", "part_done", "part_started",
        "delta",
    ]  # fmt: skip
    assert [getattr(part, "text", "") for part in transcript.parts] == ["ab", "cd", "e"]


def test_steps_and_values_update_in_place_and_leave_text_open():
    """The same id replaces what its part shows, and text goes on in the part it was in."""
    events, transcript = composed(
        "a", Step("s", "one", step=1, total=2), Value("v", "n", {"x": 1}), "b", Step("s", "two", state="done"),
        Value("v", "n", {"x": 2}),
    )  # fmt: skip
    assert [getattr(event, "part", None) for event in events] == [0, 0, 1, 2, 0, 1, 2]
    text, step, value = transcript.parts
    assert isinstance(text, TextPart)
    assert text.text == "ab"
    assert isinstance(step, ProgressPart)
    assert (step.label, step.state) == ("two", "done")
    assert isinstance(value, DataPart)
    assert value.data == {"x": 2}


def test_tool_calls_run_beside_each_other_by_call_id():
    """Pieces of two calls may alternate; a result without `ready` completes the arguments first."""
    _, transcript = composed(
        "look:", ToolCallBegin("1", "f"), ToolCallBegin("2", "g"), ToolArguments("1", "{"), ToolArguments("2", "["),
        ToolArguments("1", "}"), ToolReady("1"), ToolOutput("1", "yes"), ToolOutput("2", "no", is_error=True), "after",
    )  # fmt: skip
    calls = [part for part in transcript.parts if isinstance(part, ToolPart)]
    assert [(part.arguments, part.result, part.state) for part in calls] == [
        ("{}", "yes", "done"), ("[", "no", "failed"),
    ]  # fmt: skip
    assert transcript.text == "look:after"
    assert len(transcript.parts) == 4


@pytest.mark.parametrize(
    "outputs",
    [
        (ToolArguments("1", "x"),),
        (ToolCallBegin("1", "f"), ToolReady("1"), ToolArguments("1", "x")),
        (ToolCallBegin("1", "f"), ToolCallBegin("1", "f")),
        (ToolCallBegin("1", "f"), ToolOutput("1", "a"), ToolOutput("1", "b")),
        (ToolCallBegin("1", "f"), Mark()),
        (Text(7),),  # type: ignore[arg-type]
        (Step("s", "l", step="x"),),  # type: ignore[arg-type]
        (Step("s", "l", state="odd"),),  # type: ignore[arg-type]
        (Value("v", "n", object()),),
        (Value("v", "n", 2**70),),
        (Value("i" * (NAME_BYTES_MAX + 1), "n"),),
        (Tokens(input_tokens="many"),),  # type: ignore[arg-type]
        (b"bytes",),
        (None,),
    ],
)
def test_what_breaks_the_port_is_refused(outputs: tuple[Any, ...]):
    """Output that cannot be written ends in AgentFailure, and leaves nothing half written behind."""
    composer = Composer(HEAD)
    events = [event for output in outputs[:-1] for event in composer.compose(output, 1)]
    with pytest.raises(AgentFailure) as caught:
        composer.compose(outputs[-1], 1)
    assert caught.value.code == "invalid_output"
    assert not caught.value.retryable
    assert composer.fold.offset == len(HEAD + events)


def test_a_nested_value_is_refused_and_a_cyclic_one_too():
    """Depth is bounded before it reaches any reader's stack."""
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    for data in (deep, cyclic):
        with pytest.raises(AgentFailure):
            Composer(HEAD).compose(Value("v", "n", data), 1)


def test_lone_surrogates_are_replaced_and_pairs_joined():
    """Whatever text an agent yields can be written in both codecs."""
    events, transcript = composed("a\ud800b", "\ud83d\ude00", Value("v", "\udc00", {"k\ud800": ["\ud800"]}))
    assert transcript.text == "a\ufffdb😀"
    for codec in (JSON, MSGPACK):
        frame = codec.encode(Page(request_id="r", start=2, next="x", events=events))  # type: ignore[arg-type]
        assert codec.decode_server(frame).events == events  # type: ignore[union-attr]


def test_long_values_are_cut_and_say_so():
    """A tool's result keeps its beginning, a value says that it was too large, and no event is over the bound."""
    long = "é" * EVENT_BYTES_MAX
    events, transcript = composed(
        ToolCallBegin("1", "f"), ToolOutput("1", long), Value("v", "n", long), Step("s", "l" * 10_000)
    )
    for event in events:
        assert len(MSGPACK.encode(event)) <= EVENT_BYTES_MAX
    call, value, step = transcript.parts
    assert isinstance(call, ToolPart)
    assert call.result.startswith("éé")
    assert call.result.endswith(f"of {2 * EVENT_BYTES_MAX} bytes]")
    assert isinstance(value, DataPart)
    assert value.data["cut"] is True
    assert isinstance(step, ProgressPart)
    assert len(step.label) == LABEL_CHARS_MAX


def test_an_answer_has_a_bound_in_bytes_and_in_parts():
    """Beyond the cap the answer fails as too_long; what fitted was written."""
    composer = Composer(HEAD, answer_bytes_max=10)
    composer.compose("12345678", 1)
    with pytest.raises(AgentFailure, match="longer than 10 bytes") as caught:
        composer.compose("éé", 1)
    assert caught.value.code == "too_long"
    assert composer.fold.parts[0].bytes == 8
    composer = Composer(HEAD)
    for number in range(PARTS_MAX):
        composer.compose(Cite(str(number), "u"), 1)
    with pytest.raises(AgentFailure, match="parts"):
        composer.compose("one more", 1)


def test_updates_in_place_count_too():
    """A value that is replaced again and again grows the log, and is charged for it."""
    composer = Composer(HEAD, answer_bytes_max=10_000)
    for _ in range(70):
        composer.compose(Value("v", "n", "x" * 100), 1)
    with pytest.raises(AgentFailure, match="longer"):
        composer.compose(Value("v", "n", "x" * 4000), 1)


def test_the_same_citation_or_file_is_shown_once():
    """A second Cite or Attach with the same id changes nothing."""
    events, _ = composed(Cite("1", "u"), Cite("1", "u"), Attach("1", "u"), Attach("1", "u"))
    assert kinds(events) == ["source", "file"]


def test_usage_adds_to_what_runs_before_reported():
    """Within a run each report replaces the last; over runs they add up."""
    composer = Composer(HEAD)
    composer.compose(Tokens(1, 1), 1)
    composer.compose(Tokens(10, 5), 1)
    composer.entered()
    (event,) = composer.compose(Tokens(3, 2, estimated=True), 9)
    assert event == ev.Usage(at=9, input_tokens=13, output_tokens=7, estimated=True)
    assert composer.tokens == ev.Usage(at=9, input_tokens=3, output_tokens=2, estimated=True)


def test_a_mark_closes_text_and_makes_a_checkpoint():
    """Parts before a checkpoint can be kept by a later attempt."""
    events, transcript = composed("a", Mark(), "b")
    assert kinds(events) == ["part_started", "delta", "part_done", "checkpoint", "part_started", "delta"]
    assert transcript.checkpoints == [(5, 1)]


def test_it_goes_on_from_a_log():
    """Made from a log, a composer grows its open text, updates its steps and answers its calls."""
    events, _ = composed(Step("s", "one"), ToolCallBegin("1", "f"), ToolReady("1"), Cite("c", "u"), "ab")
    composer = Composer(HEAD + events)
    before = composer.bytes
    composer.started(6, attempt=1, term=2, nonce="00000002", keep="all", reason="resumed")
    more = [
        event
        for output in (Text("c"), Step("s", "two"), ToolOutput("1", "r"), Cite("c", "u"))
        for event in composer.compose(output, 7)
    ]
    assert [getattr(event, "part", None) for event in more] == [3, 0, 1]
    assert composer.bytes > before > 0


def test_a_superseding_start_forgets_what_it_drops():
    """After keep = none the numbers begin anew, and an old call is not known any more."""
    events, _ = composed("ab", ToolCallBegin("1", "f"))
    composer = Composer(HEAD + events)
    composer.started(6, attempt=2, term=1, nonce="00000001", keep="none", reason="retry")
    assert composer.bytes == 0
    with pytest.raises(AgentFailure):
        composer.compose(ToolReady("1"), 7)
    assert composer.compose("x", 7)[0] == ev.PartStarted(at=7, part=0, kind="text")


def test_shown_tells_output_from_progress():
    """Progress and usage take nothing from a silent second try; anything else does."""
    composer = Composer(HEAD)
    composer.compose(Step("s", "l"), 1)
    composer.compose(Tokens(1), 1)
    composer.compose("", 1)
    assert not composer.shown
    composer.compose("x", 1)
    assert composer.shown


def test_a_completed_answer_completes_the_clients_calls():
    """A call that the client is to run stands as called; the terminal event is last (I2)."""
    composer = Composer(HEAD)
    events = composer.compose(ToolCallBegin("1", "f", where="client"), 1) + composer.compose(
        ToolArguments("1", "{}"), 1
    )
    events += composer.ended(ev.Completed(at=2, code="tool_calls"))
    transcript = Fold().apply_all(HEAD + events).transcript()
    (part,) = transcript.parts
    assert isinstance(part, ToolPart)
    assert part.state == "called"
    assert kinds(events)[-1] == "completed"


def test_a_wait_has_a_digest_of_exactly_what_is_asked():
    """The digest does not depend on the order of keys, and on everything else."""
    composer = Composer(HEAD)
    composer.compose("May I?", 1)
    events, waiting = composer.waiting(Wait("w", "approval", {"b": 1, "a": 2}, expires_in_s=1.5), 100)
    assert kinds(events) == ["part_done"]
    assert (
        waiting.digest
        == wait_digest("approval", {"a": 2, "b": 1})
        != wait_digest("approval", {"a": 2, "b": 2})
    )
    assert (waiting.part, waiting.expires_at, len(waiting.digest)) == (1, 1600, 32)


def waited(**fields: Any) -> list[ev.Event]:
    return [
        *HEAD,
        ev.Waiting(at=1, part=0, wait_id="w", kind="k", digest="d", **fields),
        ev.Started(at=5, attempt=1, term=2, nonce="00000002", reason="resumed"),
    ]


def test_decisions_are_taken_where_they_match():
    """A decision reaches the wait with its id and digest; another digest or kind does not."""
    good = InboxItem(kind="decision", id="w", at=3, digest="d", value={"ok": True})
    for item in (
        InboxItem(kind="decision", id="w", at=3, digest="other", value=1),
        InboxItem(kind="decision", id="x", at=3, digest="d", value=1),
        InboxItem(kind="steer", id="w", at=3, digest="d", value=1),
    ):
        assert Composer(waited()).decided([item], 9) == []
    composer = Composer(waited())
    assert composer.decided([good], 9) == [ev.Decided(at=9, part=0, wait_id="w", decision={"ok": True})]
    assert composer.decided([good], 9) == []
    with pytest.raises(AgentFailure, match="decided before"):
        composer.waiting(Wait("w", "k"), 10)


def test_a_decision_after_the_end_of_a_wait_has_expired():
    """Time decides from `expires_at` on, whatever the value says."""
    item = InboxItem(kind="decision", id="w", at=50, digest="d", value=True)
    (event,) = Composer(waited(expires_at=50)).decided([item], 60)
    assert event == ev.Decided(at=60, part=0, wait_id="w", decision=None, expired=True)
    composer = Composer(waited(expires_at=50))
    assert composer.decided([], 49) == []
    assert composer.decided([], 50) == [ev.Decided(at=50, part=0, wait_id="w", expired=True)]

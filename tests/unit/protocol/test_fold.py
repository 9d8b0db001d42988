"""The fold, by the shared vectors that clients of other languages run too, and by examples one can check by eye."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from holdfast_protocol import events as ev
from holdfast_protocol import transcript as tr
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.fold import Fold, fold
from tests.support.vectors import FOLDER, built, decoded

VECTORS = json.loads((FOLDER / "fold.json").read_text("utf-8"))
BEGUN: list[ev.Event] = [
    ev.Accepted(at=1, nonce="0" * 8, agent="a"),
    ev.Started(at=2, attempt=1, term=1, nonce="1" * 8),
]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    """Each vector folds to its transcript, with its digest after every event; so does its snapshot."""
    taken, digests = Fold(), []
    for event in decoded(vector["events"]):
        taken.apply(event)
        digest = taken.digest()
        digests.append([digest.parts, digest.bytes, digest.crc])
    assert digests == vector["digests"]
    assert msgspec.json.decode(msgspec.json.encode(taken.transcript())) == vector["transcript"]
    short = Fold().apply_all(decoded(vector["snapshot"]))
    assert short.transcript() == taken.transcript()
    assert short.digest() == taken.digest()


def test_vectors_are_up_to_date() -> None:
    """The files are what the fold makes of the cases; `python -m tests.support.vectors` writes them."""
    for path, text in built().items():
        assert path.read_text("utf-8") == text


def vector(name: str) -> dict[str, Any]:
    """What the vector of this name folds to."""
    found: dict[str, Any] = next(vector for vector in VECTORS if vector["name"] == name)["transcript"]
    return found


def test_superseded_text_is_gone() -> None:
    """After `keep: none` only the new text is there; after a checkpoint, what stood at it and the new text."""
    assert [part["text"] for part in vector("a new attempt keeps nothing")["parts"]] == ["Right"]
    kept = vector("a new attempt keeps what stood at a checkpoint")
    assert [part["text"] for part in kept["parts"]] == ["Kept. ", "New."]
    assert kept["checkpoints"] == [[5, 1]]


def test_what_an_outcome_does_to_parts() -> None:
    """A server's call without a result is `unknown`, a client's stands; progress is done or stopped; a wait is closed."""
    assert vector("a tool without a result at the end")["parts"][0]["state"] == "unknown"
    assert vector("a tool that the client runs")["parts"][0]["state"] == "called"
    assert vector("progress stops with the request")["parts"][0]["state"] == "stopped"
    assert vector("progress is replaced in place, and ends with the request")["parts"][2]["state"] == "failed"
    running = [*BEGUN, ev.Progress(at=3, part=0, id="p", label="x")]
    assert states([*running, ev.Completed(at=4, code="stop")]) == ["done"]
    assert states([*running, ev.Failed(at=4, code="upstream")]) == ["stopped"]
    assert vector("cancelled while waiting")["parts"][0]["state"] == "closed"


def states(events: list[ev.Event]) -> list[str]:
    """The states of the parts."""
    return [getattr(part, "state", "") for part in fold(events).parts]


def test_replacing_keeps_the_time_it_opened() -> None:
    """A progress or data part that is replaced shows the new value, and when it first appeared."""
    events: list[ev.Event] = [
        ev.Progress(at=10, part=0, id="p", label="one"),
        ev.Data(at=11, part=1, id="d", name="n", data=1),
        ev.Progress(at=20, part=0, id="p", label="two", state="done"),
        ev.Data(at=21, part=1, id="d", name="n", data=2),
    ]
    assert fold([*BEGUN, *events]).parts == [
        tr.ProgressPart(at=10, id="p", label="two", state="done"),
        tr.DataPart(at=11, id="d", name="n", data=2),
    ]


def test_a_part_of_an_unknown_kind_keeps_its_number() -> None:
    """An unknown event may open a part: it shows nothing, what is said to it is ignored, later parts keep their numbers."""
    later = ev.Unknown(at=3, type="hologram", part=0)
    taken = Fold().apply_all(
        [*BEGUN, later, ev.PartStarted(at=4, part=1, kind="text"), ev.Delta(at=5, part=0, text="no"), ev.Delta(at=5, part=1, text="yes")]
    )  # fmt: skip
    assert taken.transcript().parts == [
        tr.UnknownPart(at=3, event="hologram"),
        tr.TextPart(at=4, text="yes", open=True),
    ]
    assert (taken.unknown, taken.offset, taken.digest().parts) == (2, 6, 1)


def test_unknown_parts_open_only_while_running() -> None:
    """While queued or waiting an unknown kind opens nothing, because a snapshot of that status could not say so."""
    queued = Fold().apply_all([BEGUN[0], ev.Unknown(at=2, type="later", part=0)])
    assert queued.transcript().parts == []
    assert queued.offset == 2


@pytest.mark.parametrize(
    "events",
    [
        [ev.PartStarted(at=3, part=1, kind="text")],
        [ev.Delta(at=3, part=0, text="x")],
        [ev.PartStarted(at=3, part=0, kind="text"), ev.PartDone(at=3, part=0), ev.Delta(at=3, part=0, text="x")],
        [ev.PartStarted(at=3, part=0, kind="text"), ev.PartDone(at=3, part=0), ev.PartDone(at=3, part=0)],
        [ev.PartStarted(at=3, part=0, kind="text"), ev.Checkpoint(at=3)],
        [ev.PartStarted(at=3, part=0, kind="text"), ev.ToolResult(at=3, part=0, output="x")],
        [ev.ToolCall(at=3, part=0, call_id="c", name="n"), ev.ToolResult(at=3, part=0, output="x")],
        [ev.ToolCall(at=3, part=0, call_id="c", name="n"), ev.PartDone(at=3, part=0), ev.Checkpoint(at=3)],
        [ev.ToolCall(at=3, part=0, call_id="c", name="n"), ev.PartDone(at=3, part=0), ev.Delta(at=3, part=0, text="x")],
        [ev.Data(at=3, part=0, id="d", name="n"), ev.Progress(at=3, part=0, id="d", label="n")],
        [ev.Waiting(at=3, part=0, wait_id="w", kind="k"), ev.Started(at=3, attempt=1, term=2, nonce="2" * 8), ev.Decided(at=3, part=0, wait_id="v")],
        [ev.Started(at=3, attempt=2, term=1, nonce="2" * 8, keep=7)],
        [ev.Completed(at=3, code="stop"), ev.Failed(at=4, code="late")],
    ],
)  # fmt: skip
def test_what_does_not_fit_is_illegal(events: list[ev.Event]) -> None:
    """The last event is refused, and nothing has changed."""
    taken = Fold().apply_all([*BEGUN, *events[:-1]])
    before = taken.transcript()
    with pytest.raises(IllegalEvent):
        taken.apply(events[-1])
    assert taken.transcript() == before

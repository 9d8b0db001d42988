"""Snapshots and merged pages: how short they are, and how much they may hold."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.codec import JSON, MSGPACK
from holdfast_protocol.fold import Fold, fold
from holdfast_protocol.limits import DELTA_BYTES_MAX, EVENT_BYTES_MAX, MERGED_DELTA_BYTES_MAX, PAGE_BYTES_MAX
from holdfast_protocol.pushes import Page
from holdfast_protocol.rewrite import events_of, page_of, text_bytes

BEGUN: list[ev.Event] = [
    ev.Accepted(at=1, nonce="0" * 8, agent="a"),
    ev.Started(at=2, attempt=1, term=1, nonce="1" * 8),
]


def test_deltas_of_a_part_become_one() -> None:
    """A thousand deltas are one event, whose span says how many it stands for."""
    log: list[ev.Event] = [*BEGUN, ev.PartStarted(at=3, part=0, kind="text")]
    log += [ev.Delta(at=4 + n, part=0, text="x") for n in range(1000)]
    page, stop = page_of(log)
    assert stop == len(log)
    assert page == [*log[:3], ev.Delta(at=1003, span=1000, part=0, text="x" * 1000)]


def test_parts_that_grow_in_turns_become_one_event_each() -> None:
    """Neighbours merge per part; a progress step shows its last state."""
    log: list[ev.Event] = [
        *BEGUN,
        ev.PartStarted(at=3, part=0, kind="text"),
        ev.PartStarted(at=3, part=1, kind="text"),
    ]
    for n in range(10):
        log += [
            ev.Delta(at=4, part=0, text="a"),
            ev.Progress(at=n, part=2, id="p", label=str(n)),
            ev.Delta(at=4, part=1, text="b"),
        ]
    page, _ = page_of(log, 4)
    assert [(event.span, ev.kind_of(event)) for event in page] == [
        (10, "delta"),
        (10, "progress"),
        (10, "delta"),
    ]
    assert page[1] == ev.Progress(at=0, span=10, part=2, id="p", label="9")


@pytest.mark.parametrize("letter", ["x", "é", "漢", "𝔘"])
def test_merged_deltas_are_bounded(letter: str) -> None:
    """No merged delta, in a page or a snapshot, is over its bound, whatever a letter's size."""
    text = letter * (DELTA_BYTES_MAX // len(letter.encode()))
    log: list[ev.Event] = [*BEGUN, ev.PartStarted(at=3, part=0, kind="text")]
    log += [ev.Delta(at=4, part=0, text=text) for _ in range(40)]
    page, stop = page_of(log)
    assert stop < len(log)
    for events in (page, events_of(fold(log))):
        sizes = [len(event.text.encode()) for event in events if isinstance(event, ev.Delta)]
        assert max(sizes) <= MERGED_DELTA_BYTES_MAX
    assert len(events_of(fold(log))) < len(log)
    assert fold(events_of(fold(log))) == fold(log)


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=repr)
def test_pages_of_values_are_bounded_too(codec: Any) -> None:
    """Data parts count in a page by their encoded size: many large ones are many pages."""
    log: list[ev.Event] = [
        ev.Data(at=1, part=n, id="d", name="n", data="x" * (EVENT_BYTES_MAX // 4)) for n in range(50)
    ]
    page, stop = page_of(log)
    assert stop == 3
    shown: Any = page
    assert len(codec.encode(Page(request_id="r", start=0, next="", events=shown))) <= PAGE_BYTES_MAX


@pytest.mark.parametrize(
    ("event", "least"),
    [
        (ev.Delta(at=1, part=0, text="é" * 50), 100),
        (ev.ToolResult(at=1, part=0, output="x" * 100), 100),
        (ev.Input(at=1, part=0, id="i", text="x" * 100), 100),
        (ev.Waiting(at=1, part=0, wait_id="w", kind="k", body={"a": "x" * 100}), 100),
        (ev.Decided(at=1, part=0, wait_id="w", decision=["x" * 100]), 100),
        (ev.Progress(at=1, part=0, id="p", label="x" * 100), 100),
        (ev.Failed(at=1, code="c", message="x" * 100), 100),
        (ev.Unknown(at=1, type="x", raw=b"x" * 100), 100),
        (ev.PartDone(at=1, part=0), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_an_event_weighs(event: ev.Event, least: int) -> None:
    """Whatever makes an event large is in its weight."""
    assert least < text_bytes(event) < least + 200


def test_a_page_takes_at_least_one_event() -> None:
    """However small the page, a reader gets on."""
    log: list[ev.Event] = [ev.Delta(at=1, part=0, text="x" * 1000)] * 2
    assert page_of(log, 0, None, 1)[1] == 1
    assert page_of(log, 1, 2, 1) == ([log[1]], 2)
    assert page_of(log, 2) == ([], 2)


def test_completed_may_follow_an_open_wait() -> None:
    """A request that completed with a wait left open has a snapshot that can be folded."""
    log: list[ev.Event] = [
        *BEGUN,
        ev.Waiting(at=3, part=0, wait_id="w", kind="k"),
        ev.Started(at=4, attempt=1, term=2, nonce="2" * 8, reason="resumed"),
        ev.Completed(at=5, code="stop"),
    ]
    assert fold(events_of(fold(log))) == fold(log)


def test_checkpoints_keep_their_offsets() -> None:
    """Through a snapshot a checkpoint is still found at its own offset, two in a row too."""
    log: list[ev.Event] = [*BEGUN, ev.Usage(at=3), ev.Checkpoint(at=4), ev.Checkpoint(at=5), ev.Data(at=6, part=0, id="d", name="n"), ev.Checkpoint(at=7)]  # fmt: skip
    short = Fold().apply_all(events_of(fold(log)))
    assert short.checkpoints == [(3, 0), (4, 0), (6, 1)]
    assert short.offset == 7


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=repr)
def test_the_span_of_an_unknown_event_reaches_the_wire(codec: Any) -> None:
    """Where a snapshot ends in a part of an unknown kind, its bytes carry the span, not only the object in memory."""
    log: list[ev.Event] = [*BEGUN, ev.Unknown(at=3, type="later", part=0), ev.Usage(at=4), ev.Usage(at=5)]
    shown: Any = events_of(fold(log))[:]
    transcript = fold(log)
    transcript.usage = None
    shown = events_of(transcript)
    frame = codec.encode(Page(request_id="r", start=0, next="", events=shown))
    got = codec.decode_server(frame)
    assert sum(event.span for event in got.events) == 5
    assert sum(event["span"] for event in msgspec.to_builtins(codec_tree(codec, frame))["events"]) == 5


def codec_tree(codec: Any, frame: bytes) -> Any:
    """The frame as plain values."""
    return msgspec.msgpack.decode(frame) if codec.binary else msgspec.json.decode(frame)

"""Events: names on the wire, and logs of this release that every later one must read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import msgspec

from holdfast_protocol import events as ev
from holdfast_protocol.codec import decode_events, encode_events
from holdfast_protocol.fold import Fold

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def test_kinds_are_the_union() -> None:
    """Every kind of the union has its name in KINDS, and that name is its tag on the wire."""
    assert set(ev.KINDS) == set(get_args(ev.KnownEvent))
    for cls, kind in ev.KINDS.items():
        assert cls.__struct_config__.tag == kind  # type: ignore[attr-defined]
    assert set(ev.OUTCOMES) == set(get_args(ev.Outcome))
    assert ev.kind_of(ev.PartStarted(at=0, part=0, kind="text")) == "part_started"
    assert ev.kind_of(ev.Unknown(at=0, type="later")) == "later"


def test_snake() -> None:
    """The wire name of a class."""
    assert [ev.snake(name) for name in ("Delta", "PartStarted", "ToolCall")] == [
        "delta",
        "part_started",
        "tool_call",
    ]


def test_recorded_logs_are_read_for_ever() -> None:
    """The log recorded with the first release is read, folds to the transcript recorded then, has the digest recorded
    then, and is written again byte for byte. These files are never written again."""
    stored = bytes.fromhex((GOLDEN / "log-v1.msgpack.hex").read_text("ascii"))
    recorded = json.loads((GOLDEN / "log-v1.json").read_text("utf-8"))
    events = decode_events(stored)
    fold = Fold().apply_all(events)
    digest = fold.digest()
    assert msgspec.json.decode(msgspec.json.encode(fold.transcript())) == recorded["transcript"]
    assert [digest.parts, digest.bytes, digest.crc] == recorded["digest"]
    assert fold.unknown == recorded["unknown"]
    assert [ev.kind_of(event) for event in events] == [event["type"] for event in recorded["events"]]
    assert encode_events(events) == stored


def test_defaults_are_not_written() -> None:
    """An event as small as can be, because there are many."""
    assert (
        msgspec.json.encode(ev.Delta(at=1, part=0, text="a"))
        == b'{"type":"delta","at":1,"part":0,"text":"a"}'
    )

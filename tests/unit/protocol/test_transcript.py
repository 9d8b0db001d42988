"""The transcript as a value."""

from __future__ import annotations

from typing import get_args

import msgspec

from holdfast_protocol import transcript as tr


def test_kinds_of_parts() -> None:
    """Each part has its kind on the wire, and is read back as what it was."""
    kinds = {cls.__struct_config__.tag for cls in get_args(tr.TranscriptPart)}
    assert kinds == {
        "text",
        "reasoning",
        "tool",
        "progress",
        "data",
        "source",
        "file",
        "input",
        "wait",
        "unknown",
    }
    value = tr.Transcript(
        offset=3, parts=[tr.TextPart(at=1, text="a"), tr.WaitPart(at=2, wait_id="w", wait_kind="k")]
    )
    assert msgspec.json.decode(msgspec.json.encode(value), type=tr.Transcript) == value


def test_text_is_the_text_parts() -> None:
    """The answer as plain text leaves out what is not answer."""
    value = tr.Transcript(
        parts=[tr.TextPart(at=1, text="a"), tr.ReasoningPart(at=1, text="?"), tr.TextPart(at=1, text="b")]
    )
    assert value.text == "ab"

"""The transcript as a value."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

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


@pytest.mark.parametrize(
    ("decision", "state", "granted"),
    [
        (True, "decided", True),
        ({"approved": True, "note": "go"}, "decided", True),
        (False, "decided", False),
        ({"approved": False}, "decided", False),
        ({"approved": "yes"}, "decided", False),
        (1, "decided", False),
        (None, "expired", False),
        (True, "closed", False),
    ],
)
def test_what_permits(decision: object, state: str, granted: bool) -> None:
    """An approval that came in time, with a note or without; nothing else."""
    part = tr.WaitPart(at=1, wait_id="w", wait_kind="approval", decision=decision, state=state)  # type: ignore[arg-type]
    assert part.granted is granted

"""Scripts are pure values: the same text everywhere, and nothing that contradicts itself."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from tests.support.script import (
    Script,
    ToolCall,
    deltas_of,
    drawn_text,
    expected_text,
    fault_of,
    last_prompt,
    script_in,
    scripted,
    text_sent,
    writes_of,
)


def test_drawn_text_never_changes() -> None:
    """A seed's text is the same in every process, and holds what breaks readers of streams."""
    text = drawn_text(7, 2000)
    assert len(text) == 2000
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "f553706373cf08761374184db63d7b44721506d9b2a9ce36487465e721400903"
    )
    assert all(mark in text for mark in ("é", "漢", "😀", "\u2028", '"', "\\", "\n\n", "data: ", "[DONE]"))
    assert drawn_text(8, 2000) != text


@pytest.mark.parametrize(
    "script",
    [
        Script(),
        Script(deltas=100, gap_ms=2.5, cut=7, cut_by="fin", faulty_calls=None),
        Script(text='"\\ \u2028 #script:\n{}', tool_calls=(ToolCall(id="c", name="n", arguments="[1]"),)),
        Script(status=429, retry_after_s=0.5),
    ],
)
def test_a_script_survives_its_prompt(script: Script) -> None:
    """What `scripted` puts into a prompt, `script_in` reads back; text before and after it does no harm."""
    assert script_in(scripted("Hello\nyou", script)) == script
    assert script_in(scripted("", script) + "\n\nand more") == script


@pytest.mark.parametrize("prompt", ["", "Hello", "about #script: in the middle of a line"])
def test_a_prompt_without_a_script(prompt: str) -> None:
    """Only a mark at the beginning of a line is a script."""
    assert script_in(prompt) is None


@pytest.mark.parametrize("body", ["", "{", "[]", '{"txt": "x"}', '{"cut": 1, "eof": 2}', '{"status": 200}'])
def test_a_wrong_script_is_an_error(body: str) -> None:
    """What follows a mark and is no script is refused, never ignored."""
    with pytest.raises(ValueError, match="no script after"):
        script_in(f"#script:\n{body}")


def test_two_faults_contradict() -> None:
    """A script has at most one fault, also when made in Python."""
    with pytest.raises(ValueError, match="stall, cut"):
        Script(cut=1, stall=1)


def test_text_sent_is_the_prefix_before_the_fault() -> None:
    """Deltas count reasoning too; a fault later than the last delta cuts nothing; later calls are clean."""
    script = Script(deltas=6, reasoning_deltas=2, cut=5)
    assert text_sent(script) == expected_text(script)[: 3 * script.delta_chars]
    assert text_sent(script, 2) == expected_text(script)
    assert fault_of(script) == ("cut", 5)
    assert fault_of(script, 2) is None
    assert text_sent(Script(cut=99)) == expected_text(Script())
    assert text_sent(Script(status=500)) == ""


def test_deltas_make_the_text() -> None:
    """The deltas joined are the expected text, a given text included that is no multiple of a delta."""
    script = Script(text="é漢😀" * 5, delta_chars=4)
    assert [delta.text for delta in deltas_of(script)] == ["é漢😀é", "漢😀é漢", "😀é漢😀", "é漢😀"]


def test_writes_cut_characters() -> None:
    """With `split_utf8` no write holds a whole multi-byte character; joined, the writes are the frame."""
    frame = "a é 漢 😀 z".encode()
    writes = writes_of(frame, Script(split_utf8=True))
    assert b"".join(writes) == frame
    assert not any(
        "é".encode() in write or "漢".encode() in write or "😀".encode() in write for write in writes
    )
    assert max(map(len, writes_of(frame, Script(write_bytes=3)))) == 3
    assert writes_of(frame, Script()) == [frame]
    assert writes_of(b"", Script()) == []


def test_the_last_prompt_of_a_chat() -> None:
    """The script is looked for in the last user message, whose content may be a list of parts."""
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "old"},
        {"role": "user", "content": parts},
        {"role": "assistant"},
    ]
    assert last_prompt(messages) == "ab"
    assert last_prompt([]) == ""


def test_a_script_is_plain_json() -> None:
    """Another language can script the upstream: defaults are left out and names are as written."""
    assert msgspec.json.encode(Script(cut=3)) == b'{"cut":3}'

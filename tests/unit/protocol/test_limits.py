"""The limits fit each other."""

from __future__ import annotations

import re

import pytest

from holdfast_protocol import limits


def test_frames_fit() -> None:
    """What may be asked fits into a command; what may be stored fits into a page; a page fits common clients."""
    assert limits.COMMAND_BYTES_MAX_BEFORE_HELLO < limits.COMMAND_BYTES_MAX
    assert limits.TEXT_BYTES_MAX * 2 <= limits.COMMAND_BYTES_MAX
    assert limits.DELTA_BYTES_MAX <= limits.MERGED_DELTA_BYTES_MAX < limits.PAGE_BYTES_MAX
    assert limits.EVENT_BYTES_MAX <= limits.PAGE_BYTES_MAX
    assert limits.PAGE_BYTES_MAX * 2 < 1024 * 1024


def test_lists_fit() -> None:
    """Lists of ids fit into a command; defaults are within their bounds."""
    per_id = limits.ID_CHARS_MAX + len('"",')
    assert limits.PROBES_PER_COMMAND_MAX * per_id < limits.COMMAND_BYTES_MAX
    assert 1 <= limits.LIST_LIMIT_DEFAULT <= limits.LIST_LIMIT_MAX
    assert limits.OFFSET_MAX == 2**53 - 1


def test_a_token_fits_before_hello() -> None:
    """The longest token fits into what may be sent before hello."""
    assert 2048 + len('{"type":"hello","ref":9007199254740991,"token":"","client":""}') + 200 < limits.COMMAND_BYTES_MAX_BEFORE_HELLO  # fmt: skip


@pytest.mark.parametrize(
    "text", ["a", "A-b_9", "0198c0de-0000-7000-8000-000000000000", "x" * limits.ID_CHARS_MAX]
)
def test_ids(text: str) -> None:
    """Letters, digits, `_` and `-`, one to 64."""
    assert re.search(limits.ID_PATTERN, text)


@pytest.mark.parametrize(
    "text",
    ["", "a\n", "\na", "a\nb", "a b", "é", "a/b", "..", "a.b", "a%20", "x" * (limits.ID_CHARS_MAX + 1)],
)
def test_no_ids(text: str) -> None:
    """Nothing that logs, URLs and file names would have to escape, a line break at the end included."""
    assert not re.search(limits.ID_PATTERN, text)


@pytest.mark.parametrize("name", [name for name in vars(limits) if name.isupper() and name != "ID_PATTERN"])
def test_limits_are_positive(name: str) -> None:
    """Every limit lets something through."""
    assert getattr(limits, name) > 0

"""What the command line makes of its surroundings: a terminal's width, and bytes that are no text."""

from __future__ import annotations

import pytest

from holdfast_client.cli.listing import _widths
from holdfast_client.cli.running import typed

ID = "0" * 36
DATE = "2026-01-01 00:00"
TITLE = "a title that is as long as titles are allowed to be"


@pytest.mark.parametrize("room", range(20, 200))
def test_ids_and_dates_are_whole(room):
    """Columns fit the terminal, ids and dates are never cut, a title keeps enough to be known; else there is no table."""
    widths = _widths([["id", ID], ["title", TITLE], ["changed", DATE]], room)
    if room < 36 + 2 + 10 + 2 + 16:
        assert widths is None
    else:
        assert widths is not None
        assert (widths[0], widths[2]) == (36, 16)
        assert 10 <= widths[1] <= len(TITLE)
        assert sum(widths) + 4 <= room


def test_wide_characters_count_twice():
    """A column is as wide as it looks."""
    assert _widths([["id"], ["漢字"]], 80) == [2, 4]


def test_what_is_no_text_is_replaced():
    """Bytes that are no UTF-8 can be sent: as the sign for a character that could not be read."""
    assert typed(b"a\xffb".decode("utf-8", "surrogateescape")) == "a\N{REPLACEMENT CHARACTER}b"
    assert (
        typed("Voil\N{LATIN SMALL LETTER A WITH GRAVE}, 漢字")
        == "Voil\N{LATIN SMALL LETTER A WITH GRAVE}, 漢字"
    )

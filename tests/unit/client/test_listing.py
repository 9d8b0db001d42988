"""What the command line makes of its surroundings: a terminal's width, and bytes that are no text."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from holdfast_client.cli.listing import _lines, _widths
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


def test_beneath_each_other_the_title_is_shortened():
    """Where there is no table, a row's date and state are whole, and its title has what they leave."""
    assert _lines([TITLE, DATE, "answering"], 58) == [f"{TITLE[:28]}…  {DATE}  answering"]
    assert _lines(["hi", DATE, ""], 58) == [f"hi  {DATE}"]
    shorter = _lines(["a title of twenty-six cells", TITLE, DATE], 74)
    assert shorter == [f"a title of twenty-six cells  {TITLE[:26]}…  {DATE}"]


@pytest.mark.parametrize("room", range(18, 80))
def test_what_does_not_stand_on_one_line_stands_on_two(room):
    """Nothing that is short is lost, however narrow the terminal is; no line is longer than it."""
    lines = _lines(["holdfast-cli", "websocket", DATE, DATE, "0 to 6", "漢字" * 20], room)
    assert all(cell_len(line) <= room for line in lines)
    assert "  ".join(lines).startswith(f"holdfast-cli  websocket  {DATE}  {DATE}  0 to 6  漢字")


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

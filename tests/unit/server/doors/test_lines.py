"""JSON as one line."""

import json

from holdfast_server.doors.lines import json_line

NASTY = "a\u2028b\u2029c\u0085d\r\ne\té漢😀"


def test_no_reader_finds_a_line_break_in_it():
    """Whatever counts as the end of a line somewhere is escaped, and reads back as it was."""
    line = json_line({"text": NASTY, NASTY: [NASTY]})
    assert line.decode().splitlines() == [line.decode()]
    assert json.loads(line) == {"text": NASTY, NASTY: [NASTY]}


def test_what_needs_no_care_is_left_as_it_is():
    """Other characters stay UTF-8."""
    assert json_line({"text": "é漢 plain"}) == '{"text":"é漢 plain"}'.encode()

"""What a caller would like: Prefer and Accept, read."""

import pytest
from multidict import CIMultiDict

from holdfast_server.doors.http.preferences import Preference, preference, preferred

OFFERED = ("application/json", "text/event-stream", "application/x-ndjson")


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", Preference()),
        ("respond-async", Preference(None, True)),
        ("RESPOND-ASYNC;x=1, foo", Preference(None, True)),
        ('wait="10"', Preference(10.0, False)),
        ("wait = 10, wait=20", Preference(10.0, False)),
        ("respond-async, wait=5", Preference(5.0, True)),
        ("wait=1.5, wait=-1, wait=ten, wait=", Preference()),
        ("wait=9999999999", Preference()),
    ],
)
def test_prefer_is_read_as_its_standard_has_it(header, wanted):
    """What is understood counts, of repetitions the first; everything else is as if it were not there."""
    assert preference(CIMultiDict({"Prefer": header})) == wanted


def test_prefer_may_come_in_several_headers():
    """Several headers are one list."""
    headers = CIMultiDict([("Prefer", "respond-async"), ("Prefer", "wait=3")])
    assert preference(headers) == Preference(3.0, True)


def test_how_long_is_waited_and_what_is_said_of_it():
    """A wait is cut to what is permitted, and what was applied says the same; without one the default holds, unless the
    caller wants it at once."""
    assert Preference(500.0).seconds(0, 60) == 60
    assert Preference(500.0).applied(60) == {"Preference-Applied": "wait=60"}
    assert Preference(None, True).seconds(30, 60) == 0
    assert Preference(None, True).applied(60) == {"Preference-Applied": "respond-async"}
    assert Preference(5.0, True).seconds(30, 60) == 5
    assert Preference().seconds(30, 60) == 30
    assert Preference().seconds(300, 60) == 60
    assert Preference().applied(60) == {}


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", 0), ("*/*", 0), ("text/html,*/*;q=0.8", 0), ("image/png", 0), ("text/*", 1), ("text/event-stream", 1),
        ("TEXT/Event-Stream; q=1.0", 1), ("application/json;q=0.5, text/event-stream", 1), ("application/x-ndjson, */*;q=0.1", 2),
        ("text/event-stream;q=0, */*", 0), ("text/event-stream;q=2", 0), (";;q=,,", 0),
    ],
)  # fmt: skip
def test_accept_chooses(accept, media):
    """The most wanted of what there is; JSON where there is no wish that can be met."""
    assert preferred(CIMultiDict({"Accept": accept}), OFFERED) == OFFERED[media]

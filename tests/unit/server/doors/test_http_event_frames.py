"""How one log looks as SSE and NDJSON, frame by frame."""

import json
from types import SimpleNamespace
from typing import Any

import msgspec

from holdfast_protocol import events as ev
from holdfast_server.doors.http.event_frames import FORMATS, plain, stretch, write_log
from holdfast_server.doors.http.request_shapes import Arrival
from holdfast_server.journal import Place
from tests.support.http_door import NDJSON, SSE, Reading
from tests.support.journals import answered, asked, opened

DELTA = ev.Delta(at=1, part=0, text="a\nb\r\n\u2028c")
ARRIVAL = Arrival(cursor="3-1.0badcafe", parts=1, bytes=2, digest="00000000", sealed=True)


def test_an_event_is_one_frame():
    """A line break in the text stays in its JSON: a frame has one line each of event, id and data, and an empty one."""
    frame = FORMATS[SSE].event(DELTA, "2-1.0badcafe").decode()
    kind, place, data, *rest = frame.split("\n")
    assert (kind, place, rest) == ("event: delta", "id: 2-1.0badcafe", ["", ""])
    assert json.loads(data.removeprefix("data: "))["text"] == DELTA.text
    assert b"id:" not in FORMATS[SSE].event(DELTA, None)


def test_an_event_is_one_line():
    """In NDJSON the cursor stands beside the event; none is null."""
    line = FORMATS[NDJSON].event(DELTA, None)
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "cursor": None,
        "event": {"type": "delta", "at": 1, "part": 0, "text": DELTA.text},
    }


def test_what_is_said_beside_the_events():
    """A snapshot, an arrival and a deletion look alike in both: an arrival is a place to come back to."""
    sse, lines = FORMATS[SSE], FORMATS[NDJSON]
    assert sse.snapshot("ahead") == b'event: snapshot\ndata: {"reason":"ahead"}\n\n'
    assert sse.caught_up(ARRIVAL).startswith(b"event: caught_up\nid: 3-1.0badcafe\n")
    assert sse.gone() == b"event: gone\ndata: {}\n\n"
    assert json.loads(lines.snapshot("ahead")) == {"snapshot": "ahead"}
    assert json.loads(lines.caught_up(ARRIVAL)) == {"caught_up": msgspec.to_builtins(ARRIVAL)}
    assert json.loads(lines.gone()) == {"gone": True}


def test_a_stretch_keeps_count():
    """Merged or not, the spans of what is shown add up to what was read, and the text is the same."""
    log = answered(asked("r1"), "|".join("word" for _ in range(50)))
    for merged in (False, True):
        shown = stretch(log, 3, log.tail, merged=merged)
        assert 3 + sum(event.span for event in shown.events) == shown.after == log.tail
        assert "".join(e.text for e in shown.events if isinstance(e, ev.Delta)) == "word" * 50
        assert (len(shown.events) < 10) == merged


def test_what_is_not_known_is_shown_as_it_came():
    """An event of a later release is written with all its fields."""
    value = {"type": "glow", "at": 5, "hue": [1, {"x": None}]}
    assert plain(ev.Unknown(at=5, type="glow", raw=msgspec.msgpack.encode(value))) == value


class Stream:
    """A reader over NDJSON; `meanwhile` is what happens while it takes its second piece."""

    def __init__(self, meanwhile):
        self.reading = Reading()
        self._meanwhile = [lambda: None, meanwhile]
        readers = SimpleNamespace(
            enter=lambda log, start, door, client: SimpleNamespace(cursor=start), leave=lambda call: None
        )
        self.visit = SimpleNamespace(client="", reception=SimpleNamespace(readers=readers, closed=False))

    async def write(self, data):
        if self._meanwhile:
            self._meanwhile.pop(0)()
        for line in data.splitlines():
            self.reading.ndjson(json.loads(line))


async def test_a_reader_whose_output_is_dropped_while_it_reads_begins_anew():
    """A reader in the middle of an attempt that a later one drops is not shown the rest of it: it gets the present."""
    record = asked("r1", chat_id=None)
    log = opened(record)
    words = [ev.Delta(at=1, part=0, text="old ") for _ in range(2_000)]
    log.extend(
        [
            ev.Started(at=1, attempt=1, term=1, nonce="0badcafe"),
            ev.PartStarted(at=1, part=0, kind="text"),
            *words,
        ]
    )

    def retry():
        log.extend([
            ev.Started(at=2, attempt=2, term=1, nonce="0badcafe", keep="none", reason="retry"),
            ev.PartStarted(at=2, part=0, kind="text"), ev.Delta(at=2, part=0, text="new"), ev.PartDone(at=2, part=0),
            ev.Completed(at=2, code="stop"),
        ])  # fmt: skip

    stream: Any = Stream(retry)
    await write_log(stream, log, Place(0, None), FORMATS[NDJSON])
    assert stream.reading.resets == ["superseded"]
    assert stream.reading.transcript == log.fold().transcript()
    assert stream.reading.transcript.text == "new"
    assert stream.reading.cursor == str(log.cursor())
    assert [arrival["sealed"] for arrival in stream.reading.arrivals] == [True]

"""Reading a fold as it grows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from holdfast_client.reading import Piece, Reader, Superseded
from holdfast_protocol import events as ev
from holdfast_protocol.fold import Fold, fold
from holdfast_protocol.rewrite import events_of

BEGIN: list[ev.Event] = [
    ev.Accepted(at=1, nonce="aaaaaaaa", agent="demo"),
    ev.Started(at=2, attempt=1, term=1, nonce="bbbbbbbb"),
]


def begun(*events: ev.Event) -> Fold:
    return Fold().apply_all([*BEGIN, *events])


def text_of(reader: Reader, value: Fold, so_far: str = "") -> str:
    """What somebody who keeps the rules has after this look."""
    for piece in reader.read(value):
        so_far = so_far[: piece.kept_chars] if isinstance(piece, Superseded) else so_far + piece.text
    return so_far


def open_text(part: int) -> ev.PartStarted:
    return ev.PartStarted(at=3, part=part, kind="text")


def delta(part: int, text: str) -> ev.Delta:
    return ev.Delta(at=4, part=part, text=text)


def test_only_what_is_new_is_read():
    """Each look gives what was added since the one before, and nothing twice."""
    value, reader = begun(open_text(0), delta(0, "é🙂")), Reader()
    assert [piece.text for piece in reader.read(value)] == ["é🙂"]  # type: ignore[union-attr]
    assert reader.read(value) == []
    value.apply_all([delta(0, "漢"), delta(0, "x")])
    assert [piece.text for piece in reader.read(value)] == ["漢x"]  # type: ignore[union-attr]


def test_a_transcript_taken_between_does_not_disturb_the_place():
    """Asking for the transcript joins the pieces; the place is counted in bytes and still found."""
    value, reader = begun(open_text(0), delta(0, "naïve ")), Reader()
    text = text_of(reader, value)
    value.apply_all([delta(0, "caf"), delta(0, "é 🙂")])
    assert value.transcript().text == "naïve café 🙂"
    assert text_of(reader, value, text) == "naïve café 🙂"


def test_a_later_text_waits_for_the_one_before():
    """Parts that grow side by side come out in the order of the transcript."""
    value, reader = begun(open_text(0), delta(0, "a"), open_text(1), delta(1, "z")), Reader()
    assert text_of(reader, value) == "a"
    value.apply_all([delta(0, "b"), ev.PartDone(at=5, part=0)])
    assert text_of(reader, value, "a") == "abz"


def test_the_end_of_a_part_is_told_once():
    """A piece without text says that a part is complete, so that a block can be closed at its place."""
    value, reader = begun(open_text(0), delta(0, "a")), Reader()
    reader.read(value)
    value.apply(ev.PartDone(at=5, part=0))
    (piece,) = reader.read(value)
    assert isinstance(piece, Piece)
    assert (piece.text, piece.part.open) == ("", False)
    assert reader.read(value) == []


def test_a_new_attempt_takes_back_what_does_not_stand():
    """`kept_chars` counts the characters of all text that still stand: what came before the checkpoint."""
    value = begun(
        open_text(0),
        delta(0, "kept é"),
        ev.PartDone(at=5, part=0),
        ev.Checkpoint(at=5),
        open_text(1),
        delta(1, "gone"),
    )
    reader = Reader()
    text = text_of(reader, value)
    assert text == "kept égone"
    value.apply(ev.Started(at=6, attempt=2, term=2, nonce="cccccccc", keep=5, reason="retry"))
    value.apply_all([open_text(1), delta(1, "new")])
    (marker, piece) = reader.read(value)
    assert marker == Superseded(kept_chars=6, attempt=2, reason="retry")
    assert isinstance(piece, Piece)
    assert piece.text == "new"


def test_what_was_not_handed_out_is_taken_back_in_silence():
    """An attempt that was never shown needs no marker."""
    value, reader = begun(open_text(0), delta(0, "unseen")), Reader()
    value.apply(ev.Started(at=6, attempt=2, term=2, nonce="cccccccc", keep="none", reason="retry"))
    value.apply_all([open_text(0), delta(0, "seen")])
    assert [type(piece) for piece in reader.read(value)] == [Piece]


def test_a_snapshot_that_agrees_goes_on_without_a_break():
    """Another Fold with the same beginning: only its rest is new."""
    value, reader = begun(open_text(0), delta(0, "one ")), Reader()
    text = text_of(reader, value)
    value.apply(delta(0, "two"))
    swapped = Fold().apply_all(events_of(value.transcript()))
    pieces = reader.read(swapped)
    assert [type(piece) for piece in pieces] == [Piece]
    assert text + pieces[0].text == "one two"  # type: ignore[union-attr]


def test_a_snapshot_with_another_text_takes_back_the_first():
    """What differs from what was handed out is marked, and handed out anew."""
    reader = Reader()
    text = text_of(reader, begun(open_text(0), delta(0, "one thing")))
    other = begun(open_text(0), delta(0, "one other thing"))
    assert text_of(reader, other, text) == "one other thing"


def test_other_parts_come_at_each_change_of_state():
    """A tool call is told when it is made and when it has a result; in its place between the texts."""
    value = begun(
        open_text(0), delta(0, "a"), ev.PartDone(at=5, part=0),
        ev.ToolCall(at=5, part=1, call_id="c", name="clock"), open_text(2), delta(2, "b"),
    )  # fmt: skip
    reader = Reader("text", "tool")
    assert [(p.kind, p.text) for p in reader.read(value)] == [("text", "a"), ("tool", ""), ("text", "b")]  # type: ignore[union-attr]
    value.apply_all([ev.PartDone(at=6, part=1), ev.ToolResult(at=7, part=1, output="noon")])
    (piece,) = reader.read(value)
    assert isinstance(piece, Piece)
    assert (piece.index, piece.part.state) == (1, "done")
    assert reader.read(value) == []


@st.composite
def histories(draw: st.DrawFn) -> list[ev.Event]:
    """Texts, checkpoints and attempts that take text back."""
    events: list[ev.Event] = list(BEGIN)
    value = Fold().apply_all(events)
    for _ in range(draw(st.integers(0, 25))):
        last_open = bool(value.parts) and value.parts[-1].open
        step = draw(st.sampled_from(["delta", "delta", "open", "close", "checkpoint", "retry"]))
        event: ev.Event | None = None
        if step == "delta" and last_open:
            event = delta(len(value.parts) - 1, draw(st.text("aé漢🙂", min_size=1, max_size=3)))
        elif step == "open" and not last_open:
            event = open_text(len(value.parts))
        elif step == "close" and last_open:
            event = ev.PartDone(at=5, part=len(value.parts) - 1)
        elif step == "checkpoint" and not last_open:
            event = ev.Checkpoint(at=5)
        elif step == "retry":
            keep: ev.Keep = draw(
                st.sampled_from(["none", "all", *[offset for offset, _ in value.checkpoints]])
            )
            attempt = (value.started.attempt if value.started else 0) + 1
            event = ev.Started(
                at=6, attempt=attempt, term=attempt, nonce="dddddddd", keep=keep, reason="retry"
            )
        if event is not None:
            value.apply(event)
            events.append(event)
    return [*events, ev.Completed(at=9, code="stop")]


@given(histories(), st.data())
def test_who_keeps_the_rules_ends_with_the_transcript(events, data):
    """However often one looks, and wherever a snapshot swaps the fold, the pieces and cuts give the transcript's text."""
    value, reader, text = Fold(), Reader(), ""
    for event in events:
        value.apply(event)
        if data.draw(st.booleans()):
            text = text_of(reader, value, text)
        if data.draw(st.integers(0, 5)) == 0:
            value = Fold().apply_all(events_of(value.transcript()))
    assert text_of(reader, value, text) == fold(events).text

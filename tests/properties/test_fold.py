"""The law of the fold, for every legal history: a snapshot and what follows it show what the whole log shows (I6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_protocol import events as ev
from holdfast_protocol.codec import CODECS, Codec, decode_events, encode_events
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.fold import Fold, fold
from holdfast_protocol.lifecycle import OUTCOME_STATUSES, TRANSITIONS
from holdfast_protocol.pushes import Page
from holdfast_protocol.rewrite import events_of, page_of, text_bytes
from holdfast_protocol.transcript import Transcript
from tests.support.strategies import histories


def snapshot(events: Sequence[ev.Event]) -> list[ev.Event]:
    """The short log that a reader at this place would be sent."""
    return events_of(fold(events))


def pages(events: Sequence[ev.Event], bytes_max: int) -> list[list[ev.Event]]:
    """The log as merged pages."""
    out, index = [], 0
    while index < len(events):
        page, stop = page_of(events, index, None, bytes_max)
        assert stop > index, "a page takes at least one event"
        out.append(page)
        index = stop
    return out


@given(histories())
@settings(max_examples=150)
def test_snapshot_and_rest_fold_as_the_whole(log: list[ev.Event]) -> None:
    """For every k: fold(snapshot at k + events from k) == fold(all), digest and offset included. Caught: a snapshot that
    leaves out the start after an open wait, so that `completed` cannot follow it."""
    whole = Fold().apply_all(log)
    for k in range(len(log) + 1):
        other = Fold().apply_all(snapshot(log[:k])).apply_all(log[k:])
        assert other.transcript() == whole.transcript()
        assert other.digest() == whole.digest()


@given(histories())
def test_snapshot_is_the_same_at_every_point(log: list[ev.Event]) -> None:
    """At every k the snapshot folds to what the prefix folds to, in offset, status, parts, checkpoints and digest."""
    for k in range(len(log) + 1):
        prefix = Fold().apply_all(log[:k])
        short = Fold().apply_all(snapshot(log[:k]))
        assert short.transcript() == prefix.transcript()
        assert short.digest() == prefix.digest()
        assert short.offset == k


@given(histories())
def test_snapshot_of_a_snapshot_is_itself(log: list[ev.Event]) -> None:
    """A snapshot cannot be made shorter by making it again."""
    once = snapshot(log)
    assert snapshot(once) == once


@given(histories(), st.lists(st.integers(1, 700), min_size=1, max_size=4))
@settings(max_examples=150)
def test_pages_of_any_size_fold_alike(log: list[ev.Event], sizes: list[int]) -> None:
    """A log cut into merged pages of any sizes folds as the log does, and the digests agree after every page."""
    reader, writer, index = Fold(), Fold(), 0
    while index < len(log):
        bytes_max = sizes[index % len(sizes)]
        page, stop = page_of(log, index, None, bytes_max)
        assert stop == index + 1 or sum(map(text_bytes, log[index:stop])) <= bytes_max
        assert sum(map(text_bytes, page)) <= max(bytes_max, text_bytes(log[index]))
        assert sum(event.span for event in page) == stop - index
        reader.apply_all(page)
        writer.apply_all(log[index:stop])
        assert reader.digest() == writer.digest()
        assert reader.offset == writer.offset
        index = stop
    assert reader.transcript() == fold(log)


@given(histories(), st.integers(64, 400))
def test_pages_of_a_snapshot_fold_alike(log: list[ev.Event], bytes_max: int) -> None:
    """A snapshot cut into pages folds as the log does."""
    short = snapshot(log)
    taken = Fold()
    for page in pages(short, bytes_max):
        taken.apply_all(page)
    assert taken.transcript() == fold(log)


@given(histories(ended=True))
def test_an_outcome_closes_everything(log: list[ev.Event]) -> None:
    """After the outcome nothing looks as if it still ran, and no event but unknown kinds fits any more (I2)."""
    taken = Fold().apply_all(log)
    assert taken.sealed
    assert not any(part.open for part in taken.parts)
    for part in taken.transcript().parts:
        assert getattr(part, "state", "") not in ("input", "open", "running")
        assert not getattr(part, "open", False)
        assert getattr(part, "where", "client") == "client" or getattr(part, "state", "") != "called"
    for event in log:
        if not isinstance(event, ev.Unknown):
            with pytest.raises(IllegalEvent):
                taken.apply(event)
    assert taken.transcript() == fold(log)


@given(histories(), st.sampled_from(["all", "none", "checkpoint"]))
def test_superseding_drops_whole_parts(log: list[ev.Event], how: str) -> None:
    """A new attempt keeps everything, nothing, or the parts before a checkpoint; no text of a dropped part is left, and a
    kept part keeps all of its text."""
    before = Fold().apply_all(log)
    if before.status not in ("running", "waiting"):
        return
    keep: ev.Keep = "all" if how == "all" else "none"
    count = len(before.parts) if how == "all" else 0
    if how == "checkpoint" and before.checkpoints:
        keep, count = before.checkpoints[len(before.checkpoints) // 2]
    after = Fold().apply_all(log)
    after.apply(ev.Started(at=0, attempt=9, term=9, nonce="99999999", keep=keep, reason="retry"))
    assert after.transcript().parts == before.transcript().parts[:count]
    covered = [part for part in after.parts if part.kind in ("text", "reasoning", "tool", "input")]
    assert after.digest().parts == len(covered)
    assert after.digest().bytes == sum(shown(part) for part in after.transcript().parts)
    assert all(kept <= count for _, kept in after.checkpoints)


def shown(part: Any) -> int:
    """The bytes that the digest covers, counted from the transcript."""
    fields = {"text": ("text",), "reasoning": ("text",), "input": ("text",), "tool": ("arguments", "result")}
    return sum(len(getattr(part, name).encode()) for name in fields.get(part.__struct_config__.tag, ()))


@given(histories())
def test_the_digest_needs_no_text(log: list[ev.Event]) -> None:
    """A fold that holds no text follows lifecycle and digest all the same."""
    light, full = Fold(keep_text=False).apply_all(log), Fold().apply_all(log)
    assert light.digest() == full.digest()
    assert (light.status, light.offset, light.checkpoints) == (full.status, full.offset, full.checkpoints)
    assert not any(part.chunks or part.result for part in light.parts)


@given(histories())
def test_unknown_kinds_change_nothing_but_the_count(log: list[ev.Event]) -> None:
    """Events of unknown kinds are counted, move the offset, and keep the number of a part they open; nothing else."""
    taken = Fold().apply_all(log)
    strange = [event for event in log if isinstance(event, ev.Unknown)]
    assert taken.unknown >= len(strange)
    assert taken.offset == len(log)
    opaque = [n for n, part in enumerate(taken.parts) if part.kind == "unknown"]
    if not strange:
        assert (taken.unknown, opaque) == (0, [])


@pytest.mark.parametrize("codec", CODECS.values(), ids=lambda codec: codec.name)
@given(log=histories(), bytes_max=st.integers(64, 2_000))
def test_a_log_survives_the_wire_and_the_store(codec: Codec, log: list[ev.Event], bytes_max: int) -> None:
    """Stored, read back, cut into pages, sent and decoded, a log still folds to the same, and so does its snapshot,
    unknown kinds included."""
    stored = decode_events(encode_events(log))
    assert stored == log
    for events in (stored, snapshot(stored)):
        assert sent(codec, events, bytes_max) == fold(log)


def sent(codec: Codec, events: Sequence[ev.Event], bytes_max: int) -> Transcript:
    """What a reader makes of these events when they come by this codec in pages of that size."""
    taken = Fold()
    for page in pages(events, bytes_max):
        shown: Any = page  # unknown kinds are not in the declared union, but go out as they came
        frame = codec.encode(Page(request_id="r", start=taken.offset, next="", events=shown))
        push = codec.decode_server(frame)
        assert isinstance(push, Page)
        assert push.events == page
        taken.apply_all(push.events)
    return taken.transcript()


@given(histories(), st.data())
def test_what_does_not_fit_changes_nothing(log: list[ev.Event], data: st.DataObject) -> None:
    """An event that may not follow is refused, and the fold is as it was before."""
    taken = Fold().apply_all(log)
    before = (taken.transcript(), taken.digest(), taken.status, taken.offset)
    legal = TRANSITIONS[taken.status]
    candidates: list[ev.Event] = [
        ev.Delta(at=0, part=99, text="x"),
        ev.PartDone(at=0, part=99),
        ev.PartStarted(at=0, part=98, kind="text"),
        ev.ToolResult(at=0, part=97, output=""),
        ev.Decided(at=0, part=96, wait_id="w"),
        ev.Progress(at=0, part=95, id="p", label=""),
        ev.Started(at=0, attempt=1, term=1, nonce="00000000", keep=2**40),
    ]
    candidates += [
        event for event in log if ev.kind_of(event) not in legal and not isinstance(event, ev.Unknown)
    ]
    event = data.draw(st.sampled_from(candidates))
    with pytest.raises(IllegalEvent):
        taken.apply(event)
    assert (taken.transcript(), taken.digest(), taken.status, taken.offset) == before


def test_an_empty_log_has_an_empty_snapshot() -> None:
    """Nothing folds to nothing."""
    assert events_of(Transcript()) == []
    assert fold([]) == Transcript()


@given(histories(ended=True))
def test_the_generator_reaches_outcomes(log: list[ev.Event]) -> None:
    """The histories drawn here are legal from end to end."""
    assert fold(log).status in OUTCOME_STATUSES

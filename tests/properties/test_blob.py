"""Packing and segments lose nothing: any legal history comes back event by event."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_protocol import events as ev
from holdfast_protocol.cursor import Epoch
from holdfast_server.stores.base import Damaged, InboxItem, Record, key_of
from holdfast_server.stores.blob import pack, unpack
from holdfast_server.stores.disk import Entry, Replay, State, encode_segment
from holdfast_server.stores.log import Log
from tests.support import strategies
from tests.support.journals import ANN


def log_of(events: list[ev.Event], inbox: list[InboxItem]) -> Log:
    """A journal with this history."""
    accepted = events[0]
    assert isinstance(accepted, ev.Accepted)
    record = Record(key=key_of(ANN, "r1"), body_hash=b"h", agent="a", created_at=1, options={"a": [1, None]})
    log = Log(record, accepted)
    log.extend(events)
    log.inbox = inbox
    for event in events:
        if isinstance(event, ev.Started) and event.term > log.term:
            log.chain.append(Epoch(event.term, event.nonce, 1))
            log.term = event.term
    return log


inboxes = st.lists(
    st.builds(
        InboxItem,
        kind=st.sampled_from(["decision", "steer"]),
        id=strategies.ids,
        at=strategies.times,
        value=strategies.values,
    ),
    max_size=2,
)


@given(strategies.histories(ended=True), inboxes)
def test_packing_loses_nothing(events: list[ev.Event], inbox: list[InboxItem]) -> None:
    """events(unpack(pack(log))) == log, with its offsets, times, epochs and inputs."""
    log = log_of(events, inbox)
    again = unpack(pack(log))
    assert again.events == events
    assert (again.record, again.chain, again.inbox) == (log.record, log.chain, log.inbox)
    assert (again.status, again.attempt, again.superseded_at) == (log.status, log.attempt, log.superseded_at)


@given(strategies.histories(ended=True), st.data())
def test_a_changed_blob_is_found(events: list[ev.Event], data: Any) -> None:
    """One flipped bit anywhere gives an error, never another text."""
    packed = pack(log_of(events, []))
    place = data.draw(st.integers(0, len(packed.data) * 8 - 1))
    changed = bytearray(packed.data)
    changed[place // 8] ^= 1 << (place % 8)
    with pytest.raises(Damaged):
        unpack(packed._replace(data=bytes(changed)))


@given(strategies.histories(), st.lists(st.integers(1, 40), max_size=6), inboxes)
def test_segments_give_back_what_they_took(
    events: list[ev.Event], cuts: list[int], inbox: list[InboxItem]
) -> None:
    """However a history is cut into commits, replaying them gives the same journal; restating one changes nothing."""
    log = log_of(events, inbox)
    places = sorted({0, *(cut for cut in cuts if cut < len(events)), len(events)})
    if places[1] != 1:
        places.insert(1, 1)
    state = State(record=log.record, version=3, epochs=log.chain[1:], inbox=inbox)
    replay = Replay(lambda number: None)
    for seq, (first, last) in enumerate(pairwise(places)):
        entry = Entry(7, first, events[first:last], state if first == 0 else None)
        replay.feed(seq + 1, encode_segment([entry]))
    replay.feed(99, encode_segment([Entry(7, 0, events, state)]))
    restored = replay.restored()
    (again,) = restored.logs
    assert (again.events, again.chain, again.inbox, again.version) == (events, log.chain, inbox, 3)
    assert (again.waiting, again.status) == (log.waiting, log.status)
    assert (restored.next_seq, restored.next_number, restored.first_seq) == (100, 8, {7: 99})


@given(strategies.histories(), st.data())
def test_a_changed_segment_is_found(events: list[ev.Event], data: Any) -> None:
    """One flipped bit anywhere stops the replay."""
    log = log_of(events, [])
    segment = bytearray(encode_segment([Entry(1, 0, events, State(record=log.record))]))
    place = data.draw(st.integers(0, len(segment) * 8 - 1))
    segment[place // 8] ^= 1 << (place % 8)
    with pytest.raises(ValueError, match="damaged"):
        Replay(lambda number: None).feed(1, bytes(segment))

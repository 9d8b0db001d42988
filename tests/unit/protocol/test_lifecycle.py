"""The lifecycle table is complete, and nothing comes after an outcome."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.lifecycle import LIVE_STATUSES, OUTCOME_STATUSES, TRANSITIONS, Status, next_status

# Enough for an event of any kind: fields that a kind does not have are ignored.
SMALLEST = {
    "at": 0, "nonce": "00000000", "attempt": 1, "term": 1, "part": 0, "id": "i", "kind": "text",
    **dict.fromkeys(["agent", "wait_id", "text", "call_id", "name", "output", "label", "url", "code"], ""),
}  # fmt: skip
STATUSES: tuple[Status, ...] = get_args(Status)


def test_every_status_has_a_row_and_every_kind_a_place() -> None:
    """The table speaks of every status, and of every kind at least once; it names no others."""
    assert set(TRANSITIONS) == set(STATUSES)
    assert {kind for row in TRANSITIONS.values() for kind in row} == set(ev.KINDS.values())
    assert {after for row in TRANSITIONS.values() for after in row.values()} <= set(STATUSES)
    assert {"new"} | LIVE_STATUSES | OUTCOME_STATUSES == set(STATUSES)


def test_outcomes_end_it() -> None:
    """Each terminal kind leads to the status of its name from wherever it may come, and nothing leads out of that."""
    names = {ev.KINDS[cls] for cls in ev.OUTCOMES}
    assert names == OUTCOME_STATUSES
    for row in TRANSITIONS.values():
        for kind, after in row.items():
            assert (kind in names) == (after in names)
            assert kind not in names or kind == after
    assert all(TRANSITIONS[status] == {} for status in OUTCOME_STATUSES)


def test_every_live_request_can_be_ended_by_others() -> None:
    """From every live status a request can be cancelled, fail, time out or be interrupted (I4: it reaches an outcome)."""
    for status in LIVE_STATUSES:
        assert {"failed", "cancelled", "timed_out", "interrupted"} <= set(TRANSITIONS[status])


def test_every_status_can_be_reached() -> None:
    """No row is dead."""
    seen, new = set[Status](), {STATUSES[0]}
    while new:
        seen |= new
        new = {after for status in new for after in TRANSITIONS[status].values()} - seen
    assert seen == set(STATUSES)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("cls", ev.KINDS, ids=ev.KINDS.get)
def test_next_status_is_the_table(status: Status, cls: type) -> None:
    """What the table has is taken, all else is refused by name."""
    kind = ev.KINDS[cls]
    event = msgspec.convert({"type": kind, **SMALLEST}, ev.KnownEvent)
    if kind in TRANSITIONS[status]:
        assert next_status(status, event) == TRANSITIONS[status][kind]
    else:
        with pytest.raises(IllegalEvent, match=f"{kind} cannot follow while {status}"):
            next_status(status, event)


@pytest.mark.parametrize("status", STATUSES)
def test_unknown_kinds_change_no_status(status: Status) -> None:
    """A kind of a later release is legal anywhere and leads nowhere."""
    assert next_status(status, ev.Unknown(at=0, type="later")) == status

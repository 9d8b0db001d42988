"""The checker of chaos runs: a sound history made by hand has nothing wrong, and each rule is broken once."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import msgspec
import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.fold import Fold
from tests.chaos.check import bitten, check, rules_of
from tests.chaos.evidence import sort
from tests.chaos.figures import figures, line, table
from tests.chaos.history import History, read
from tests.support.script import Script, expected_text

SCRIPT = Script(seed=4, deltas=3, reseed=True)
TEXT = expected_text(SCRIPT, 2)
FIRST, SECOND = "aaaaaaaa", "bbbbbbbb"

Entry = dict[str, Any]


def journal() -> list[ev.Event]:
    """An answer that was taken over after its first delta, and completed."""
    return [
        ev.Accepted(at=1_000, nonce="00000000", agent="model"),
        ev.Started(at=1_100, attempt=1, term=1, nonce=FIRST),
        ev.PartStarted(at=1_100, part=0, kind="text"),
        ev.Delta(at=1_200, part=0, text="lost"),
        ev.Started(at=6_000, attempt=2, term=2, nonce=SECOND, keep="none", reason="recovered"),
        ev.PartStarted(at=6_100, part=0, kind="text"),
        ev.Delta(at=6_200, part=0, text=TEXT),
        ev.PartDone(at=6_300, part=0),
        ev.Completed(at=6_400, code="stop"),
    ]


def plain(events: list[ev.Event]) -> Any:
    return msgspec.to_builtins(events)


def caught_up(events: list[ev.Event], cursor: str) -> Entry:
    fold = Fold().apply_all(events)
    digest = fold.digest()
    told = {"parts": digest.parts, "bytes": digest.bytes, "digest": digest.crc, "sealed": fold.sealed}
    return {"op": "caught_up", **READER, "cursor": cursor, **told}


KEY = {"user": "ann", "request": "r1"}
READER = {"reader": "ann-0.1", **KEY}


def history() -> list[Entry]:
    """A sound run: one request, asked twice, read in three pieces, cancelled too late."""
    events = journal()
    entries: list[Entry] = [
        {"op": "run", "seed": 1, "seconds": 9, "nodes": 3, "lease_s": 5.0, "wall": 0.0, "planted": "",
         "poison": [], "enabled": ["kill"]},
        {"op": "submit", "phase": "invoke", "id": 1, **KEY, "agent": "model", "script": msgspec.to_builtins(SCRIPT)},
        {"op": "submit", "phase": "info", "id": 1, "why": "TimeoutError"},
        {"op": "submit", "phase": "invoke", "id": 2, **KEY, "agent": "model", "script": msgspec.to_builtins(SCRIPT)},
        {"op": "submit", "phase": "ok", "id": 2, "named": "r1", "created": False, "status": "queued"},
        {"op": "page", **READER, "start": 0, "next": f"4-1.{FIRST}", "events": plain(events[:4]), "staged": False},
        {"op": "fault", "kind": "kill", "bit": 1, "node": "n1"},
        {"op": "page", **READER, "start": 4, "next": f"7-2.{SECOND}", "events": plain(events[4:7]), "staged": False},
        {"op": "page", **READER, "start": 7, "next": f"9-2.{SECOND}", "events": plain(events[7:]), "staged": False},
        caught_up(events, f"9-2.{SECOND}"),
        {"op": "cancel", "phase": "invoke", "id": 3, **KEY},
        {"op": "cancel", "phase": "ok", "id": 3, "won": False, "status": "completed"},
        {"op": "quiet"},
        {"op": "journal", **KEY, "node": "n0", "events": plain(events), "sealed": True},
        {"op": "journal", **KEY, "node": "n1", "events": plain(events), "sealed": True},
        {"op": "row", **KEY, "node": "n0", "status": "completed", "text": TEXT},
        {"op": "listed", "user": "ann", "node": "n0", "requests": ["r1"]},
        {"op": "call", "key": "r1", "nth": 1, "outcome": "disconnected"},
        {"op": "call", "key": "r1", "nth": 2, "outcome": "completed"},
        {"op": "over"},
    ]  # fmt: skip
    return [{"t": float(at), **entry} for at, entry in enumerate(entries)]


def broken(**change: Any) -> list[Entry]:
    """The sound history with one line changed: `op` says which kind, `nth` which of it, `drop` leaves it out, `add` puts
    lines after it, everything else replaces fields."""
    entries = deepcopy(history())
    which = [number for number, entry in enumerate(entries) if entry["op"] == change["op"]]
    place = which[change.get("nth", 0)]
    entries[place].update(
        {name: value for name, value in change.items() if name not in ("op", "nth", "drop", "add")}
    )
    if change.get("drop"):
        del entries[place]
    entries[place + 1 : place + 1] = [{"t": entries[place]["t"], **extra} for extra in change.get("add", ())]
    return entries


def without_end(events: list[ev.Event]) -> Any:
    return plain(events[:-1])


EVENTS = journal()
OTHER = [*EVENTS[:6], ev.Delta(at=6_200, part=0, text=TEXT[:-1] + "?"), *EVENTS[7:]]
RUN = history()[0]
SNAPSHOT = {"op": "snapshot", **READER, "reason": "unknown_epoch"}

BROKEN: dict[str, list[dict[str, Any]]] = {
    "end": [{"op": "over", "drop": True}, {"op": "over", "add": [{"op": "broke", "error": "KeyError"}]}],
    "coverage": [{"op": "fault", "drop": True}, {"op": "fault", "bit": 0}],
    "gave up": [{"op": "over", "add": [{"op": "gave_up", "reader": "ann-0.1", "why": "4400"}]}],
    "unreadable": [{"op": "over", "add": [{"op": "unread", **KEY, "node": "n0", "status": 503}]}],
    "acknowledged": [
        {"op": "over", "add": [
            {"op": "submit", "phase": "invoke", "id": 9, "user": "ann", "request": "r2"},
            {"op": "submit", "phase": "ok", "id": 9, "named": "r2", "created": True, "status": "queued"},
        ]},
        {"op": "over", "add": [{"op": "refused", **READER, "code": "unknown_request", "since": 15.0}]},
        {"op": "over", "add": [
            {"op": "cancel", "phase": "invoke", "id": 9, **KEY},
            {"op": "cancel", "phase": "fail", "id": 9, "code": "unknown_request"},
        ]},
    ],
    "liveness": [
        {"op": "journal", "events": without_end(EVENTS), "sealed": False},
        {"op": "caught_up", "drop": True},
        {"op": "over", "add": [{"op": "submit", "phase": "invoke", "id": 9, "user": "ann", "request": "r2"}]},
    ],
    "one outcome": [
        {"op": "journal", "events": plain([*EVENTS, EVENTS[-1]])},
        {"op": "journal", "sealed": False},
        {"op": "row", "status": "running"},
    ],
    "made once": [
        {"op": "submit", "nth": 3, "named": "r1-again"},
        {"op": "submit", "nth": 3, "created": True, "add": [
            {"op": "submit", "phase": "invoke", "id": 9, **KEY},
            {"op": "submit", "phase": "ok", "id": 9, "named": "r1", "created": True, "status": "queued"},
        ]},
        {"op": "listed", "requests": ["r1", "r1-again"]},
    ],
    "refused": [{"op": "cancel", "nth": 1, "phase": "fail", "code": "request_conflict", "message": ""}],
    "upstream": [
        {"op": "call", "add": [{"op": "call", "key": "r1", "nth": 3, "outcome": "completed"}]},
        {"op": "call", "key": "r7"},
        {"op": "call", "nth": 1, "outcome": "running"},
    ],
    "text": [{"op": "call", "nth": 1, "drop": True}],
    "cancel": [
        {"op": "cancel", "nth": 1, "won": True, "status": "cancelled"},
        {"op": "cancel", "nth": 1, "status": "failed"},
    ],
    "decide": [{"op": "over", "add": [
        {"op": "decide", "phase": "invoke", "id": 9, **KEY, "wait": "go"},
        {"op": "decide", "phase": "ok", "id": 9},
    ]}],
    "poison": [
        {"op": "journal", "events": plain([*EVENTS[:-1], ev.Failed(at=6_400, code="poison")])},
        {"op": "run", "poison": ["r1"]},
    ],
    "condemned": [{"op": "journal", "events": plain([*EVENTS[:-1], ev.Interrupted(at=6_400, code="too_often")])}],
    "offsets": [
        {"op": "page", "nth": 1, "start": 3},
        {"op": "page", "nth": 1, "drop": True},
        {"op": "page", "nth": 1, "next": f"6-2.{SECOND}"},
        {"op": "page", "nth": 1, "start": None, "events": plain(EVENTS[3:7])},
        {"op": "page", "nth": 2, "add": [{"op": "open", **READER, "cursor": f"8-2.{SECOND}"}]},
    ],
    "seen": [
        {"op": "page", "nth": 1, "events": plain(OTHER[4:7])},
        {"op": "page", "nth": 2, "add": [
            {"op": "page", **READER, "start": None, "next": f"9-2.{SECOND}", "events": []},
            {"op": "page", "reader": "ben-0.1", "user": "ben", "request": "r8", "start": 0, "next": None, "events": []},
        ]},
    ],
    "bytes": [
        {"op": "row", "text": TEXT[:-1]},
        {"op": "page", "nth": 2, "drop": True, "add": [{"op": "told_end", **READER}]},
    ],
    "verified": [
        {"op": "caught_up", "digest": "00000000"},
        {"op": "caught_up", "cursor": f"8-2.{SECOND}"},
        {"op": "page", "nth": 2, "add": [{"op": "start_over", **READER}]},
    ],
    "fenced": [
        {"op": "page", "nth": 1, "next": f"7-1.{FIRST}"},
        {"op": "page", "nth": 1, "next": "7-2.cccccccc"},
        {"op": "journal", "events": plain([*EVENTS[:7], ev.Started(at=1, attempt=2, term=1, nonce=FIRST), *EVENTS[7:]])},
    ],
    "lost": [{"op": "page", "nth": 2, "add": [{"op": "lost", **READER, "reason": "unverifiable"}]}],
    "one journal": [{"op": "journal", "nth": 1, "events": plain(OTHER)}],
    "legal": [{"op": "journal", "events": plain([*EVENTS[:4], *EVENTS[5:]])}],
}  # fmt: skip

CASES = [
    pytest.param(rule, change, id=f"{rule.replace(' ', '_')}-{number}")
    for rule, changes in BROKEN.items()
    for number, change in enumerate(changes, 1)
]


def test_a_sound_history_has_nothing_wrong():
    """A run in which everything held is judged clean, and its faults are counted."""
    assert check(history()) == []
    assert bitten(sort(history())) == {"kill": 1}


@pytest.mark.parametrize(("rule", "change"), CASES)
def test_each_rule_can_be_broken(rule, change):
    """One changed line breaks the rule that is about it."""
    violations = check(broken(**change))
    assert rules_of(violations)[rule], violations


def test_every_rule_that_is_named_was_broken():
    """The rules that the checker says it has are those that were broken here."""
    from tests.chaos import check as module

    table_ = (module.__doc__ or "").partition("name of its rule:")[2]
    named = {
        name.strip()
        for row in table_.splitlines()
        for name in row.partition("   ")[2].strip().rpartition("   ")[0].split(",")
        if name.strip()
    }
    assert named == set(BROKEN)


def test_who_was_told_to_drop_it_may_have_seen_anything():
    """Events that are not in the journal that stands are no loss once a snapshot has replaced them."""
    entries = broken(op="page", nth=1, events=plain(OTHER[4:7]))
    last = next(number for number, entry in enumerate(entries) if entry["op"] == "caught_up")
    entries[last:last] = [
        {"t": 8.0, **SNAPSHOT},
        {"t": 8.0, "op": "page", **READER, "start": 0, "next": f"9-2.{SECOND}", "events": plain(EVENTS), "staged": True},
    ]  # fmt: skip
    assert check(entries) == []


def test_a_snapshot_that_was_cut_is_begun_anew():
    """Over HTTP a snapshot has a place at its last event only: one that broke off leaves the reader where it was."""
    entries = [entry for entry in history() if entry.get("reader") is None]
    about = {"reader": "sse-1", **KEY}
    end = caught_up(EVENTS, f"9-2.{SECOND}")
    entries[-1:-1] = [
        {"t": 9.0, "op": "open", **about, "cursor": None},
        {"t": 9.0, "op": "snapshot", **about, "reason": "start"},
        {"t": 9.0, "op": "page", **about, "start": None, "next": None, "events": plain(EVENTS[:1])},
        {"t": 9.1, "op": "open", **about, "cursor": None},
        {"t": 9.1, "op": "snapshot", **about, "reason": "start"},
        *({"t": 9.2, "op": "page", **about, "start": None, "next": None, "events": plain([one])} for one in EVENTS[:-1]),
        {"t": 9.3, "op": "page", **about, "start": None, "next": f"9-2.{SECOND}", "events": plain(EVENTS[-1:])},
        {"t": 9.4, **end, **about},
    ]  # fmt: skip
    assert check(entries) == []


def test_a_reader_whose_program_was_started_anew_need_not_end():
    """Who left because its program was begun again is judged for what it saw, and not for the end."""
    entries = broken(op="caught_up", drop=True)
    entries[-1:-1] = [{"t": 9.0, "op": "left", **READER, "why": "reloaded"}]
    assert check(entries) == []


def test_a_history_is_read_as_it_was_written(tmp_path):
    """What was noted comes back, a torn last line aside."""
    with History(tmp_path / "history.jsonl") as written:
        number = written.invoke("submit", user="ann", request="r1")
        written.reply("submit", number, "ok", named="r1")
        written.add("page", events=[EVENTS[0]])
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"t":1,"op":"ov')
    entries = read(tmp_path / "history.jsonl")
    assert [entry["op"] for entry in entries] == ["submit", "submit", "page"]
    assert entries[0]["id"] == entries[1]["id"]
    assert entries[2]["events"] == plain(EVENTS[:1])


def test_takeovers_are_timed_from_the_fault():
    """The time of a takeover is from the fault to the new writer's first event, and stands in both kinds of figures."""
    entries = history()
    fault = next(entry for entry in entries if entry["op"] == "fault")
    fault["t"] = 1.5
    made = figures(sort(entries), [], {})
    assert made["takeovers"] == 1
    assert made["takeover_max_s"] == pytest.approx(4.5)
    assert made["takeovers_late"] == 0
    assert msgspec.json.decode(line(made))["requests"] == 1
    assert "kill 1" in table(made)

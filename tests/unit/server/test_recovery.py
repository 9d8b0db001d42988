"""How a claimed request begins, and what a failure leads to: the decisions as tables."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast_protocol import events as ev
from holdfast_protocol.fold import Fold
from holdfast_server.agents import AgentFailure, Profile
from holdfast_server.recovery import (
    RETRY_AFTER_MAX_S,
    Again,
    Begin,
    after_failure,
    beginning,
    spent_ms,
    strikes,
)
from holdfast_server.stores.base import Account, Claim, Record, key_of
from holdfast_server.stores.log import Log
from tests.support.runs import OWNER

ACCEPTED = ev.Accepted(at=0, nonce="00000000", agent="a")
TEXT = [ev.PartStarted(at=2, part=0, kind="text"), ev.Delta(at=3, part=0, text="shown")]
MARKED = [*TEXT, ev.PartDone(at=4, part=0), ev.Checkpoint(at=4)]
STEP = [ev.Progress(at=2, part=0, id="s", label="l")]
WAIT = [ev.Waiting(at=5, part=0, wait_id="w", kind="k")]


def started(attempt: int = 1, term: int = 1, reason: ev.Reason = "first", at: int = 1) -> ev.Started:
    return ev.Started(at=at, attempt=attempt, term=term, nonce="00000001", reason=reason)


def log_of(*events: ev.Event, append_only: bool = False) -> Log:
    record = Record(key=key_of(OWNER, "r"), body_hash=b"", agent="a", created_at=0, append_only=append_only)
    log = Log(record, ACCEPTED)
    log.extend([ACCEPTED, *events])
    return log


@pytest.mark.parametrize(
    ("how", "recovery", "append_only", "events", "expected"),
    [
        ("first", "restart", False, [], Begin(1, "all", "first")),
        ("recovered", "interrupt", True, [], Begin(1, "all", "first")),
        ("handed_over", "restart", False, [], Begin(1, "all", "first")),
        ("recovered", "restart", False, [started()], Begin(2, "none", "recovered")),
        ("recovered", "restart", False, [started(), *TEXT], Begin(2, "none", "recovered")),
        ("recovered", "restart", False, [started(), *MARKED], Begin(2, 5, "recovered")),
        ("recovered", "restart", True, [started(), *TEXT], "append_only"),
        ("recovered", "restart", True, [started(), *MARKED], Begin(2, 5, "recovered")),
        ("recovered", "restart", True, [started(), *STEP], Begin(2, "none", "recovered")),
        ("recovered", "continue", True, [started(), *TEXT], Begin(2, "all", "recovered")),
        ("recovered", "interrupt", False, [started(), *TEXT], "not_repeatable"),
        ("recovered", "interrupt", False, [started(), *STEP], Begin(2, "none", "recovered")),
        ("handed_over", "restart", False, [started(), *TEXT], Begin(1, "none", "handed_over")),
        ("handed_over", "continue", False, [started(3), *TEXT], Begin(3, "all", "handed_over")),
        ("handed_over", "interrupt", False, [started(), *TEXT], "not_repeatable"),
        ("resumed", "restart", False, [started(2), *WAIT], Begin(2, "all", "resumed")),
        ("recovered", "restart", True, [started(2), *WAIT], Begin(2, "all", "resumed")),
        (
            "recovered", "restart", False,
            [started(), started(2, 2, "recovered"), started(3, 2, "retry")], "too_often",
        ),
        (
            "recovered", "restart", False,
            [started(), started(1, 2, "handed_over"), started(1, 3, "resumed")], Begin(2, "none", "recovered"),
        ),
        (
            "handed_over", "continue", False,
            [started(), started(2, 2, "recovered"), started(3, 2, "retry")], Begin(3, "all", "handed_over"),
        ),
    ],
)  # fmt: skip
def test_how_a_claim_begins(
    how: Any, recovery: Any, append_only: bool, events: list[ev.Event], expected: Any
):
    """Every way to a claim, with every recovery: a new attempt, the same one, or a visible end."""
    log = log_of(*events, append_only=append_only)
    claim = Claim(log, 5, "00000005", log.tail, how)
    result = beginning(claim, log.fold(), Profile("a", recovery=recovery, retries=2), 7)
    if isinstance(expected, str):
        assert isinstance(result, ev.Interrupted)
        assert result.code == expected
        assert result.message.endswith(".")
    else:
        assert result == expected


def test_a_request_that_ends_the_server_before_its_first_event_is_not_claimed_for_ever():
    """Each such claim leaves nothing in the log but a term; beyond the retries and a few redeploys it is interrupted."""
    log, profile = log_of(), Profile("a", retries=2)
    for term in range(1, 6):
        assert beginning(Claim(log, term, "0" * 8, 1, "first"), log.fold(), profile, 7) == Begin(
            1, "all", "first"
        )
    result = beginning(Claim(log, 6, "0" * 8, 1, "first"), log.fold(), profile, 7)
    assert isinstance(result, ev.Interrupted)
    assert result.code == "too_often"


BUSY = AgentFailure("busy", "Busy.", retryable=True)


@pytest.mark.parametrize(
    ("failure", "tries", "shown", "recovery", "append_only", "events", "expected"),
    [
        (AgentFailure("no", "No."), 0, False, "restart", False, [], None),
        (BUSY, 0, False, "restart", False, [], Again(0.5, False, "same")),
        (BUSY, 1, False, "restart", False, [], Again(1.0, False, "same")),
        (BUSY, 2, False, "restart", False, [], None),
        (BUSY, 0, True, "restart", False, TEXT, Again(0.5, False, "supersede")),
        (BUSY, 0, True, "interrupt", False, TEXT, Again(0.5, False, "supersede")),
        (BUSY, 0, True, "restart", True, TEXT, None),
        (BUSY, 0, False, "restart", True, TEXT, Again(0.5, False, "same")),
        (BUSY, 0, True, "restart", True, MARKED, Again(0.5, False, "supersede")),
        (BUSY, 0, True, "continue", True, TEXT, Again(0.5, False, "go_on")),
        (
            AgentFailure("x", "X.", retryable=True, retry_after_s=7), 0, False, "restart", False, [],
            Again(7, True, "same"),
        ),
        (
            AgentFailure("x", "X.", retryable=True, retry_after_s=RETRY_AFTER_MAX_S + 1), 0, False, "restart", False, [],
            None,
        ),
    ],
)  # fmt: skip
def test_what_a_failure_leads_to(
    failure: AgentFailure, tries: int, *, shown: bool, recovery: Any, append_only: bool, events: list[ev.Event],
    expected: Again | None,
):  # fmt: skip
    """Within its budget a failure is tried again: silently, superseding, or going on; never by taking back what cannot be."""
    fold = Fold().apply_all([ACCEPTED, started(), *events])
    profile = Profile("a", recovery=recovery, retries=2)
    again = after_failure(
        failure, tries=tries, shown=shown, fold=fold, profile=profile, append_only=append_only, dice=0.5
    )
    assert again == expected


def test_only_failures_and_crashes_are_strikes():
    """Hand-overs and waits cost nothing."""
    reasons: list[ev.Reason] = ["first", "handed_over", "resumed", "retry", "recovered"]
    assert strikes([started(reason=reason) for reason in reasons]) == 2


def test_running_time_is_what_accounts_say_or_the_log_shows():
    """A term that crashed has no account: its time is read off its events; its own term does not count."""
    events: list[ev.Event] = [
        ACCEPTED,
        started(at=100),
        ev.Checkpoint(at=400),
        started(2, 2, at=9_000),
        ev.Checkpoint(at=9_050),
    ]
    assert spent_ms(events, [], 3) == 300 + 50
    assert spent_ms(events, [Account(term=1, running_ms=1_000)], 3) == 1_000 + 50
    assert spent_ms(events, [Account(term=1, running_ms=1_000), Account(term=2, running_ms=5)], 2) == 1_000
    assert spent_ms(events, [], 2) == 300


def test_where_the_store_judges_crashes_are_no_strikes() -> None:
    """However often its nodes died, a request goes on; failures of the agent are counted all the same."""
    log = log_of(started())
    claim = Claim(log, 30, "00000001", log.tail, "recovered", judged=True)
    profile = Profile(name="a", recovery="restart", retries=0)
    assert beginning(claim, log.fold(), profile, 9) == Begin(2, "none", "recovered")
    assert isinstance(beginning(claim._replace(judged=False), log.fold(), profile, 9), ev.Interrupted)
    events = [started(), started(2, 2, "recovered"), started(3, 3, "retry")]
    assert (strikes(events), strikes(events, judged=True)) == (2, 1)

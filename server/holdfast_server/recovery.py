"""How a claimed request begins, and what becomes of a failure: decisions only, nothing is written here.

What was shown may be dropped by a new attempt unless the request is `append_only` (its reader cannot take text back).
Two budgets must not be mixed up: `retries` of the agent's profile bounds what failures and crashes cost together, so
only attempts that begin as `retry` or `recovered` are counted; a wait for a person and a hand-over cost nothing. Where the
store judges what kills its owners (`Claim.judged`), by letting it run alone, a crash is no strike either: most of those that
die with a node are only its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from holdfast_protocol import events as ev
from holdfast_protocol.fold import Fold

from .agents.base import AgentFailure, Profile
from .stores.base import Account, Claim

BACKOFF_FIRST_S: Final = 1.0
BACKOFF_MAX_S: Final = 20.0
"""Waits between tries double from the first up to this, each drawn evenly from zero, so that many who failed together do
not come back together."""

RETRY_AFTER_MAX_S: Final = 120.0
"""An upstream that asks for more is not waited for: a person would rather know."""

_OUTPUT: Final = frozenset({"text", "reasoning", "tool", "data", "source", "file"})


class Begin(NamedTuple):
    """Append `started` with these, then run the agent."""

    attempt: int
    keep: ev.Keep
    reason: ev.Reason


class Again(NamedTuple):
    """Try again after `wait_s` (`announced`: the upstream said so). `how`: within the attempt, because nothing was shown;
    by an attempt that supersedes this one; or by one that goes on from what stands."""

    wait_s: float
    announced: bool
    how: Literal["same", "supersede", "go_on"]


def strikes(events: Sequence[ev.Event], *, judged: bool = False) -> int:
    """How many attempts failures and crashes have cost so far; `judged`: crashes cost none."""
    counted = ("retry",) if judged else ("retry", "recovered")
    return sum(isinstance(event, ev.Started) and event.reason in counted for event in events)


def kept(fold: Fold) -> ev.Keep:
    """What a new attempt keeps: up to the last checkpoint, or nothing."""
    return fold.checkpoints[-1][0] if fold.checkpoints else "none"


def drops_output(fold: Fold) -> bool:
    """Whether that takes back anything that was shown."""
    first = fold.checkpoints[-1][1] if fold.checkpoints else 0
    return any(part.kind in _OUTPUT for part in fold.parts[first:])


def beginning(claim: Claim, fold: Fold, profile: Profile, at: int) -> Begin | ev.Interrupted:
    """How the claimed request goes on, by the state it is in and the agent's declared recovery. `fold`: of its log."""
    started = fold.started
    if started is None:
        if not claim.judged and claim.term > profile.retries + EARLY_ENDS_MAX:
            return _interrupted(at, "too_often", "The server stopped too often just before it ran.")
        return Begin(1, "all", "first")
    if fold.status == "waiting":  # also if whoever claimed it before died before it could begin
        return Begin(started.attempt, "all", "resumed")
    if claim.how == "handed_over":
        attempt, reason = started.attempt, _HANDED_OVER
    else:
        attempt, reason = started.attempt + 1, _RECOVERED
        if not claim.judged and strikes(claim.log.events) >= profile.retries:
            return _interrupted(at, "too_often", "The server stopped too often while it ran.")
    if profile.recovery == "continue":
        return Begin(attempt, "all", reason)
    if not any(part.kind in _OUTPUT for part in fold.parts):
        return Begin(attempt, kept(fold), reason)
    if profile.recovery == "interrupt":
        return _interrupted(
            at, "not_repeatable", "The server stopped while it ran, and this agent is not run twice."
        )
    if claim.log.record.append_only and drops_output(fold):
        return _interrupted(
            at, "append_only", "The server stopped while it ran, and its reader cannot take text back."
        )
    return Begin(attempt, kept(fold), reason)


EARLY_ENDS_MAX: Final = 3
"""Claims beyond the retries that may end before their first event was durable: by redeploys, or because the request
itself kills the server at its first step."""

_HANDED_OVER: Final[ev.Reason] = "handed_over"
_RECOVERED: Final[ev.Reason] = "recovered"


def _interrupted(at: int, code: str, why: str) -> ev.Interrupted:
    return ev.Interrupted(
        at=at,
        code=code,
        message=f"{why} What was shown stands; send it again for a new answer.",
        retryable=True,
    )


def after_failure(
    failure: AgentFailure,
    *,
    tries: int,
    shown: bool,
    fold: Fold,
    profile: Profile,
    append_only: bool,
    dice: float,
) -> Again | None:
    """Whether to try again; None: the request fails. `tries`: what the budget has been charged so far; `dice`: evenly
    drawn from [0, 1)."""
    if not failure.retryable or tries >= profile.retries:
        return None
    if failure.retry_after_s is not None:
        if failure.retry_after_s > RETRY_AFTER_MAX_S:
            return None
        wait_s, announced = max(0.0, failure.retry_after_s), True
    else:
        wait_s, announced = dice * min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**tries), False
    if not shown:
        return Again(wait_s, announced, "same")
    if profile.recovery == "continue":
        return Again(wait_s, announced, "go_on")
    if append_only and drops_output(fold):
        return None
    return Again(wait_s, announced, "supersede")


def spent_ms(events: Sequence[ev.Event], accounts: Sequence[Account], term: int) -> int:
    """How long earlier terms ran: by their accounts, or, where a crash left none, by the times in the log."""
    known = {account.term: account.running_ms for account in accounts}
    spent = sum(ms for of, ms in known.items() if of < term)
    began: ev.Started | None = None
    last = 0
    for event in events:
        if isinstance(event, ev.Started):
            if began is not None and began.term != event.term and began.term not in known:
                spent += max(0, last - began.at)
            if began is None or began.term != event.term:
                began = event
        last = event.at
    if began is not None and began.term < term and began.term not in known:
        spent += max(0, last - began.at)
    return spent

"""What became of requests: accepted once, run once, one outcome, the model's own words, nobody condemned but the guilty."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import msgspec

from holdfast_protocol import events as ev
from tests.support.script import Script, expected_text, fault_of

from .evidence import Evidence, Journal, Key, Op
from .history import Entry

REFUSALS = frozenset(
    {
        "unavailable", "storage_full", "draining", "overloaded", "too_many_requests", "rate_limited",
        "unknown_request", "ended", "not_waiting", "too_slow", "no_status",
    }
)  # fmt: skip
"""What may be said to a submit, a cancel or a decision while things break."""

UPSTREAM_FAULTS = ("status_", "cut", "eof", "half_line", "garbage", "error_object")
"""Ends of an upstream call that the upstream itself is to blame for: the runner may call again, and does so silently where
nothing was shown."""


def outcomes(evidence: Evidence) -> Iterator[str]:
    """Every acknowledged request is there, and has one outcome, the last of its events."""
    for key in evidence.acknowledged:
        journal = evidence.journal(key)
        if journal is None:
            yield f"acknowledged: {key} was, and is not there"
            continue
        if len(journal.outcomes) != 1 or journal.events[-1] is not journal.outcomes[0]:
            if not journal.outcomes:
                yield f"liveness: {key} has no outcome; it is {journal.fold.status} at {journal.fold.offset}"
            else:
                yield f"one outcome: {key} has {len(journal.outcomes)}, in {len(journal.events)} events"
        elif not journal.sealed:
            yield f"one outcome: {key} has one, and is not said to be sealed"
        for row in evidence.rows.get(key, ()):
            yield from _row(key, journal, row)


def _row(key: Key, journal: Journal, row: Entry) -> Iterator[str]:
    if row["status"] != journal.fold.status:
        yield f"one outcome: node {row['node']} says that {key} is {row['status']}, not {journal.fold.status}"
    elif row["text"] != journal.fold.transcript().text:
        yield f"bytes: node {row['node']} says another text of {key} than its journal"


def made_once(evidence: Evidence) -> Iterator[str]:
    """One id, one request: every reply names it, one at most made it, and none is there that nobody asked for."""
    for key, ops in evidence.asked.items():
        named = {op.told["named"] for op in ops if op.phase == "ok"}
        if named - {key.request}:
            yield f"made once: {key} was answered as {sorted(named)}"
        if sum(bool(op.told["created"]) for op in ops if op.phase == "ok") > 1:
            yield f"made once: {key} was made more than once"
    known = {(key.user, key.request) for key in evidence.asked}
    for entry in evidence.listed:
        strange = [request for request in entry["requests"] if (entry["user"], request) not in known]
        if strange:
            yield f"made once: {entry['user']} has {len(strange)} requests that nobody asked for: {strange[:3]}"
    yield from _refused(evidence)


def _refused(evidence: Evidence) -> Iterator[str]:
    for op in evidence.ops:
        if op.phase != "fail":
            continue
        known = evidence.acknowledged.get(op.key)
        if op.told["code"] not in REFUSALS:
            yield f"refused: {op.what} of {op.key}: {op.told['code']}: {op.told.get('message', '')}"
        elif op.told["code"] == "unknown_request" and known is not None and known < op.asked_s:
            yield f"acknowledged: {op.what} was told that {op.key} is unknown"


def upstream(evidence: Evidence) -> Iterator[str]:
    """The model is asked once for each time that a request was taken up; what the upstream broke may be asked again."""
    calls: dict[str, list[Entry]] = defaultdict(list)
    for call in evidence.calls:
        calls[call["key"]].append(call)
    by_request = {key.request: key for key in evidence.asked}
    for request, made in calls.items():
        key = by_request.get(request)
        if key is None:
            yield f"upstream: asked {len(made)} times for {request}, which nobody submitted"
            continue
        journal = evidence.journal(key)
        plain = evidence.asked[key][0].asked.get("script")
        script = msgspec.convert(plain, Script) if plain is not None else Script()
        # Of a call that sends nonsense the server hangs up before the upstream notes how it ended.
        whole = [
            call
            for call in made
            if not call["outcome"].startswith(UPSTREAM_FAULTS) and fault_of(script, call["nth"]) is None
        ]
        terms = journal.terms if journal is not None else 0
        if len(whole) > terms:
            yield f"upstream: asked {len(whole)} times for {key}, which was taken up {terms} times"
        if any(call["outcome"] == "running" for call in made):
            yield f"upstream: still at work for {key} after the end"


def texts(evidence: Evidence) -> Iterator[str]:
    """A completed answer is what one call of the upstream said, from its first letter to its last."""
    calls: Counter[str] = Counter(call["key"] for call in evidence.calls)
    for key, ops in evidence.asked.items():
        journal, script = evidence.journal(key), ops[0].asked.get("script")
        if journal is None or script is None or journal.fold.status != "completed":
            continue
        said = msgspec.convert(script, Script)
        text = journal.fold.transcript().text
        if not any(text == expected_text(said, call) for call in range(1, calls[key.request] + 1)):
            yield f"text: {key} completed with {len(text)} characters that no call of the upstream said"


def cancels(evidence: Evidence) -> Iterator[str]:
    """Who was told that a cancel won is right, and alone; who lost was told what stands."""
    for key, ops in evidence.cancels.items():
        journal = evidence.journal(key)
        won = [op for op in ops if op.phase == "ok" and op.told["won"]]
        if len(won) > 1:
            yield f"cancel: {key} was won {len(won)} times"
        status = journal.fold.status if journal is not None else "not there"
        for op in ops:
            if op.phase == "ok" and op.told["status"] != status:
                yield f"cancel: {key} was said to be {op.told['status']}; it is {status}"


def decisions(evidence: Evidence) -> Iterator[str]:
    """A decision that was taken is in the journal, unless the request was ended over it."""
    for key, ops in evidence.decisions.items():
        journal = evidence.journal(key)
        if journal is None or journal.fold.status != "completed":
            continue
        taken = {event.wait_id for event in journal.events if isinstance(event, ev.Decided)}
        for op in ops:
            if op.phase == "ok" and op.asked["wait"] not in taken:
                yield f"decide: the decision on {key} was taken, and is not in its journal"


def poison(evidence: Evidence) -> Iterator[str]:
    """Only what kills its worker is condemned; and it is."""
    guilty = set(evidence.run.get("poison", ()))
    for key, found in evidence.journals.items():
        outcome = found[0].fold.outcome
        code = outcome.code if outcome is not None else ""
        if code == "poison" and key.request not in guilty:
            yield f"poison: {key} was condemned, and kills nobody"
        elif (
            key.request in guilty
            and key in evidence.acknowledged
            and outcome is not None
            and code != "poison"
        ):
            yield f"poison: {key} kills its worker, and ended as {found[0].fold.status} ({code})"
        elif code in ("too_often", "internal"):
            yield f"condemned: {key} ended as {found[0].fold.status} ({code}): nothing of it was wrong"


def liveness(evidence: Evidence) -> Iterator[str]:
    """What was asked was answered in the end, too late at worst."""
    for key, ops in evidence.asked.items():
        if key not in evidence.acknowledged and all(_given_up(op) for op in ops):
            yield f"liveness: no submit of {key} was ever answered ({len(ops)} tries)"


def _given_up(op: Op) -> bool:
    return op.phase != "ok"


RULES = (outcomes, made_once, upstream, texts, cancels, decisions, poison, liveness)

"""What clients saw and were told, against what the store holds; and what the server left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from holdfast_protocol import events as ev
from holdfast_protocol import replies as rp
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.fold import Fold
from holdfast_server.stores.base import Key
from holdfast_server.stores.log import Log
from tests.simulation.evidence import Evidence, Saw, Told
from tests.simulation.upstream import key_text

LOST_REASONS: Final = frozenset({"unknown_request"})
"""Why a following may be lost in a run: it was not there yet."""

REFUSALS: Final = frozenset(
    {
        "unavailable", "storage_full", "draining", "too_many_requests", "request_conflict", "unknown_request", "ended",
        "not_waiting",
    }
)  # fmt: skip
"""What commands may be refused with in a run."""


STOP_S: Final = 0.25
"""How long after the reply to a cancel the upstream may still be asked."""


def _clients(evidence: Evidence) -> Iterator[str]:
    """Whatever a client showed is the fold of a prefix; what it was told is all, is all (I6)."""
    since = evidence.rolled_back_at
    by_key: dict[Key, list[Saw]] = {}
    for saw in evidence.saw:
        if saw.boot >= since:
            by_key.setdefault(saw.key, []).append(saw)
    for key, saws in by_key.items():
        name, log = key_text(key.user, key.request_id), evidence.logs.get(key)
        if log is None:
            yield f"seen: {saws[0].client} saw {name}, which is not there"
            continue
        yield from _prefixes(name, log, saws)


def _prefixes(name: str, log: Log, saws: list[Saw]) -> Iterator[str]:
    fold, events = Fold(), iter(log.events)
    for saw in sorted(saws, key=lambda saw: saw.offset):
        if saw.offset > log.tail:
            yield f"seen: {saw.client} saw {saw.offset} events of {name}, which has {log.tail}"
            continue
        try:
            while fold.offset < saw.offset:
                fold.apply(next(events))
        except IllegalEvent:
            return
        if (saw.digest, saw.status) != (fold.digest(), fold.status):
            yield f"seen: {saw.client} saw another {name} at {saw.offset} than the log holds"
        elif saw.whole is not None and saw.whole != fold.transcript():
            yield f"seen: {saw.client} was told that it has caught up with {name} at {saw.offset}, and has not"
        if saw.sealed and saw.offset != log.tail:
            yield f"seen: {saw.client} was told that {name} ends at {saw.offset}, it has {log.tail}"


def _replies(evidence: Evidence) -> Iterator[str]:
    """What was promised in replies holds in the end (I4, I9)."""
    texts: dict[Key, set[str | None]] = {}
    won: Counter[Key] = Counter()
    for told in evidence.told:
        judge = _JUDGES.get(told.what)
        if told.key is None or judge is None or told.boot < evidence.rolled_back_at:
            continue
        name = key_text(told.key.user, told.key.request_id)
        yield from judge(evidence, told, name, evidence.logs.get(told.key))
        if told.what == "submit":
            texts.setdefault(told.key, set()).add(told.value[1])
        elif told.what == "cancel":
            won[told.key] += told.value.won
    yield from (
        f"conflict: {key} was acknowledged for {both}" for key, both in texts.items() if len(both) > 1
    )
    yield from (f"cancel: {key} was won {count} times" for key, count in won.items() if count > 1)
    yield from _unknown(evidence)


def _submit(_: Evidence, told: Told, name: str, log: Log | None) -> Iterator[str]:
    text = told.value[1]
    if log is None:
        yield f"acknowledged: {name} was, and is not there"
    elif log.record.text != text:
        yield f"acknowledged: {name} as {text!r}, it is {log.record.text!r}"


def _cancel(evidence: Evidence, told: Told, name: str, log: Log | None) -> Iterator[str]:
    won, status = told.value.won, told.value.status
    if won:
        yield from _goes_on(evidence, told)
    if log is not None and won and log.status != "cancelled":
        yield f"cancel: {told.client} won {name}, which ended as {log.status}"
    elif log is not None and not won and log.status != status:
        yield f"cancel: {told.client} lost {name} to {status}, which ended as {log.status}"


def _decide(_: Evidence, told: Told, name: str, log: Log | None) -> Iterator[str]:
    if log is None or log.status != "completed":
        return
    taken = [event for event in log.events if isinstance(event, ev.Decided)]
    if not any(event.expired or event.decision == {"by": told.client} for event in taken):
        yield f"decide: the decision of {told.client} on {name} was taken, and is not in the log"


def _read(_: Evidence, told: Told, name: str, log: Log | None) -> Iterator[str]:
    part: rp.Log = told.value
    if log is not None and log.events[part.start : part.next] != list(part.events):
        yield f"read: {told.client} read other events of {name} than the log holds"


def _refused(evidence: Evidence, told: Told, name: str, log: Log | None) -> Iterator[str]:
    assert told.key is not None
    alone = len(evidence.bodies.get(told.key, ())) < 2
    if told.value.code not in REFUSALS or (told.value.code == "request_conflict" and alone):
        yield f"refused: {told.client} on {name}: {told.value.code}: {told.value.message}"


def _lost(_: Evidence, told: Told, name: str, log: Log | None) -> Iterator[str]:
    if told.value not in LOST_REASONS:
        yield f"lost: {told.client} lost {name}: {told.value}"


_JUDGES: Final[dict[str, Callable[[Evidence, Told, str, Log | None], Iterator[str]]]] = {
    "submit": _submit,
    "cancel": _cancel,
    "decide": _decide,
    "read": _read,
    "refused": _refused,
    "lost": _lost,
}


def _goes_on(evidence: Evidence, cancel: Told) -> Iterator[str]:
    """Who was told that a request was stopped by them may count on the upstream being left alone."""
    for call in evidence.calls:
        late = call.ended_at is None or call.ended_at > cancel.at + STOP_S
        if call.key == cancel.key and call.boot == cancel.boot and call.began_at < cancel.at and late:
            yield f"cancel: {cancel.client} won at {cancel.at}, the upstream went on: {call}"


def _unknown(evidence: Evidence) -> Iterator[str]:
    """Nobody is told "not there" of what was acknowledged before they asked; only one submit made it."""
    if evidence.rolled_back_to:
        return
    acknowledged: dict[Key, float] = {}
    created: dict[Key, int] = {}
    for each in evidence.told:
        if each.what == "submit" and each.key is not None:
            acknowledged[each.key] = min(each.at, acknowledged.get(each.key, each.at))
            created[each.key] = created.get(each.key, 0) + each.value[0].created
    for each in evidence.told:
        known = acknowledged.get(each.key) if each.key is not None else None
        if known is None or known >= each.asked_at:
            continue
        code = each.value.code if each.what == "refused" else each.value if each.what == "lost" else ""
        rows = each.value if each.what == "probe" else []
        if code == "unknown_request" or any(row.state == "unknown" for row in rows):
            yield f"acknowledged: {each.client} was told that {each.key} is unknown"
    yield from (f"made once: {key} was made {count} times" for key, count in created.items() if count > 1)
    for told, row in evidence.probes():
        log = evidence.logs.get(told.key) if told.key is not None else None
        if row.state == "ended" and (log is None or row.status != log.status):
            yield f"probe: {told.client} was told that {told.key} ended as {row.status}"


def _ends(evidence: Evidence) -> Iterator[str]:
    """Everybody caught up, was answered, and never had to doubt what it was sent."""
    for end in evidence.ends:
        yield from (f"liveness: {end.name} did not catch up: {what}" for what in end.behind)
        yield from (f"liveness: {end.name} had no reply: {what}" for what in end.unanswered)
        if end.starts_over:
            yield f"verified: {end.name} had to start over {end.starts_over} times"
        if end.unreadable:
            yield f"verified: {end.name} could not read {end.unreadable} frames"
        yield from (f"verified: {end.name} went backwards in {what}" for what in end.backwards)
        for request_id, (version, status) in end.rows.items():
            log = evidence.logs.get(end.key(request_id))
            if evidence.rolled_back_to or log is None or version < log.version:
                continue  # a feed that was begun anew by a restart tells of what runs, not of what had ended
            if status != log.status:
                yield f"feed: {end.name} was told last that {request_id} is {status}, it is {log.status}"


def _server(evidence: Evidence) -> Iterator[str]:
    """Slots, subscriptions and tasks have returned to nothing; zombies were refused; nothing unforeseen was logged."""
    yield from (f"left over: {count} {what}" for what, count in evidence.left.items())
    yield from (f"fenced: a zombie {what}" for what in evidence.zombies if what.startswith("wrote"))
    bugs = sum(call.how == "bug" for call in evidence.calls)
    failed = [error for error in evidence.errors if error.startswith("a run failed: ZeroDivisionError")]
    if len(failed) > bugs:
        yield f"logged: {len(failed)} runs failed, the agents had {bugs} bugs"
    yield from (f"logged: {error}" for error in evidence.errors if error not in failed)


RULES = (_clients, _replies, _ends, _server)

"""Judges the evidence of a run: a pure function from what was left to what is wrong with it.

Three oracles against each other: what clients saw and were told, what the store holds, what the upstream was asked. No
rule asks the core whether it is right; what an answer should say is known from words.py alone. Each violation begins with
the name of its rule. After the disk was put back to an older state, rules about what was acknowledged before hold no
more, but whoever reads must have been told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from holdfast_protocol import events as ev
from holdfast_protocol import replies as rp
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.fold import Fold
from holdfast_protocol.lifecycle import OUTCOME_STATUSES
from holdfast_protocol.transcript import Transcript
from holdfast_server.stores.base import Key
from holdfast_server.stores.log import Log
from tests.simulation.evidence import Call, Evidence, Saw, Told
from tests.simulation.upstream import key_text
from tests.simulation.words import section_text

LOST_REASONS = frozenset({"unknown_request"})
"""Why a following may be lost in a run: it was not there yet."""

REFUSALS = frozenset(
    {
        "unavailable", "storage_full", "draining", "too_many_requests", "request_conflict", "unknown_request", "ended",
        "not_waiting",
    }
)  # fmt: skip
"""What commands may be refused with in a run."""


STOP_S = 0.25
"""How long after the reply to a cancel the upstream may still be asked."""


def check(evidence: Evidence) -> list[str]:
    """What is wrong; empty if nothing is."""
    if evidence.broke:
        return [f"end: the run broke off: {evidence.broke}"]
    found: list[str] = []
    for rule in (_logs, _texts, _stored, _upstream, _clients, _replies, _ends, _server):
        found += rule(evidence)
    return found


def _last_rollback(evidence: Evidence) -> int:
    return max(evidence.rolled_back_to, default=0)


# -- the log -----------------------------------------------------------------------------------------------------


def _logs(evidence: Evidence) -> Iterator[str]:
    """One outcome, last; terms and attempts only rise; every event is legal where it stands (I1, I2, I3)."""
    for key, log in evidence.logs.items():
        name = key_text(key.user, key.request_id)
        outcomes = [number for number, event in enumerate(log.events) if isinstance(event, ev.OUTCOMES)]
        if not outcomes:
            yield f"liveness: {name} has no outcome; it is {log.status}, term {log.term}"
        elif outcomes != [log.tail - 1]:
            yield f"one outcome, last: {name} has outcomes at {outcomes} of {log.tail}"
        starts = [event for event in log.events if isinstance(event, ev.Started)]
        if any(after.term < one.term or after.attempt < one.attempt for one, after in pairwise(starts)):
            yield f"terms rise: {name} has {[(start.term, start.attempt) for start in starts]}"
        if any(after.start < one.start or after.term <= one.term for one, after in pairwise(log.chain)):
            yield f"terms rise: {name} has the chain {log.chain}"
        try:
            Fold().apply_all(log.events)
        except IllegalEvent as error:
            yield f"legal log: {name}: {error}"


def _texts(evidence: Evidence) -> Iterator[str]:
    """What stands, at every supersede and at the end, is what the upstream said in attempts that still count."""
    for key, log in evidence.logs.items():
        fold = Fold()
        try:
            for event in log.events:
                if isinstance(event, ev.Started) and event.keep != "all":
                    yield from _text(key, log, fold)
                fold.apply(event)
        except IllegalEvent:
            continue
        yield from _text(key, log, fold)


def _text(key: Key, log: Log, fold: Fold) -> Iterator[str]:
    name, record = key_text(key.user, key.request_id), log.record
    texts = [part.text for part in fold.parts if part.kind == "text"]
    attempt = fold.started.attempt if fold.started is not None else 0
    attempts = [0] if record.agent == "continues" else list(range(1, attempt + 1))
    if not record.options.get("mark") and record.agent != "continues":
        attempts = attempts[-1:]  # nothing of an earlier attempt can stand
    whole = fold.status == "completed"
    for section, text in enumerate(texts):
        expected = [section_text(name, section, number) for number in attempts]
        last = section + 1 == len(texts)
        if not any(text == each or (last and not whole and each.startswith(text)) for each in expected):
            yield f"text: {name} shows {text!r} as section {section} of attempt {attempt} ({fold.status})"
            return
    if whole and len(texts) != record.options["sections"]:
        yield f"text: {name} is completed with {len(texts)} of {record.options['sections']} sections"


def _stored(evidence: Evidence) -> Iterator[str]:
    """A start would find what memory held; the history holds what ended (I4, I11)."""
    if evidence.logs.keys() != evidence.stored.keys():
        yield f"stored: {sorted(evidence.logs)} in memory, {sorted(evidence.stored)} on the disk"
    for key, log in evidence.logs.items():
        name, stored = key_text(key.user, key.request_id), evidence.stored.get(key)
        if stored is None:
            continue
        if (stored.events, stored.chain, stored.record) != (log.events, log.chain, log.record):
            yield f"stored: {name} is not on the disk as it is in memory"
        if [item.id for item in stored.inbox] != [item.id for item in log.inbox]:
            yield f"stored: the inbox of {name} is not on the disk as it is in memory"
        if log.record.chat_id is None or not log.sealed:
            continue
        transcript = _fold(log.events)
        if evidence.history.get((key, "assistant")) != (transcript.text, log.status):
            yield f"history: {name} ended as {log.status}, the history has {evidence.history.get((key, 'assistant'))}"
        if (key, "user") not in evidence.history:
            yield f"history: the question of {name} is not there"


def _fold(events: Iterable[ev.Event]) -> Transcript:
    fold = Fold()
    try:
        fold.apply_all(events)
    except IllegalEvent:
        pass
    return fold.transcript()


# -- upstream ----------------------------------------------------------------------------------------------------


def _upstream(evidence: Evidence) -> Iterator[str]:
    """Asked once per attempt, unless what came before says why once more; never twice at a time."""
    by_key: dict[Key, list[Call]] = {}
    for call in evidence.calls:
        by_key.setdefault(call.key, []).append(call)
    for key, calls in by_key.items():
        name, log = key_text(key.user, key.request_id), evidence.logs.get(key)
        agent = log.record.agent if log is not None else ""
        for one, after in pairwise(calls):
            if after.boot in evidence.rolled_back_to or one.boot < _last_rollback(evidence) <= after.boot:
                continue
            open_ = one.boot == after.boot and (one.ended_at is None or one.ended_at > after.began_at)
            if open_:
                yield f"upstream once: {name} was asked for {after} while {one} ran"
            elif after.attempt < one.attempt:
                yield f"upstream once: {name} was asked for {after} after {one}"
            elif after.attempt == one.attempt and not (
                one.how in ("failed", "waits")
                or after.reason in ("resumed", "handed_over")
                or (one.boot < after.boot and agent != "once")  # it died before it could say so
            ):
                yield f"upstream once: {name} was asked for {after} again after {one}"
        if log is not None and log.status == "completed" and calls[-1].how != "done":
            yield f"upstream says so: {name} is completed, the last call is {calls[-1]}"


# -- clients -----------------------------------------------------------------------------------------------------


def _clients(evidence: Evidence) -> Iterator[str]:
    """Whatever a client showed is the fold of a prefix; what it was told is all, is all (I6)."""
    since = _last_rollback(evidence)
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
    since = _last_rollback(evidence)
    told = [each for each in evidence.told if each.boot >= since]
    made: dict[Key, set[str | None]] = {}
    won: dict[Key, int] = {}
    for each in told:
        if each.key is None:
            continue
        name, log = key_text(each.key.user, each.key.request_id), evidence.logs.get(each.key)
        value = each.value
        if each.what == "submit":
            made.setdefault(each.key, set()).add(value[1])
            if log is None:
                yield f"acknowledged: {name} was, and is not there"
            elif log.record.text != value[1]:
                yield f"acknowledged: {name} as {value[1]!r}, it is {log.record.text!r}"
        elif each.what == "cancel" and log is not None:
            won[each.key] = won.get(each.key, 0) + value.won
            if value.won:
                yield from _goes_on(evidence, each)
            if value.won and log.status != "cancelled":
                yield f"cancel: {each.client} won {name}, which ended as {log.status}"
            elif not value.won and value.status != log.status:
                yield f"cancel: {each.client} lost {name} to {value.status}, which ended as {log.status}"
        elif each.what == "decide" and log is not None and log.status == "completed":
            taken = [event for event in log.events if isinstance(event, ev.Decided)]
            if not any(event.expired or event.decision == {"by": each.client} for event in taken):
                yield f"decide: the decision of {each.client} on {name} was taken, and is not in the log"
        elif each.what == "read" and log is not None:
            part: rp.Log = value
            if log.events[part.start : part.next] != list(part.events):
                yield f"read: {each.client} read other events of {name} than the log holds"
        elif each.what == "refused" and value.code not in REFUSALS:
            yield f"refused: {each.client} on {name}: {value.code}: {value.message}"
        elif each.what == "lost" and value not in LOST_REASONS:
            yield f"lost: {each.client} lost {name}: {value}"
    yield from (f"conflict: {key} was acknowledged for {texts}" for key, texts in made.items() if len(texts) > 1)
    yield from (f"cancel: {key} was won {count} times" for key, count in won.items() if count > 1)
    yield from _unknown(evidence)


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
            logs = [log for key, log in evidence.logs.items() if key.request_id == request_id]
            if evidence.rolled_back_to or not logs:
                continue
            if not any(version <= log.version for log in logs):
                yield f"feed: {end.name} saw version {version} of {request_id}"
            if status in OUTCOME_STATUSES and not any(status == log.status for log in logs):
                yield f"feed: {end.name} saw that {request_id} {status}"


# -- the server --------------------------------------------------------------------------------------------------


def _server(evidence: Evidence) -> Iterator[str]:
    """Slots, subscriptions and tasks have returned to nothing; zombies were refused; nothing unforeseen was logged."""
    yield from (f"left over: {count} {what}" for what, count in evidence.left.items())
    yield from (f"fenced: a zombie {what}" for what in evidence.zombies if what.startswith("wrote"))
    bugs = sum(call.how == "bug" for call in evidence.calls)
    failed = [error for error in evidence.errors if error.startswith("a run failed: ZeroDivisionError")]
    if len(failed) > bugs:
        yield f"logged: {len(failed)} runs failed, the agents had {bugs} bugs"
    yield from (f"logged: {error}" for error in evidence.errors if error not in failed)

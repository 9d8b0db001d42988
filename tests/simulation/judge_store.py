"""What the store holds, against what the upstream was asked and what a start would find."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise

from holdfast_protocol import events as ev
from holdfast_protocol.errors import IllegalEvent
from holdfast_protocol.fold import Fold
from holdfast_protocol.transcript import Transcript
from holdfast_server.stores.base import Key
from holdfast_server.stores.log import Log
from tests.simulation.evidence import Call, Evidence
from tests.simulation.upstream import key_text
from tests.simulation.words import section_text


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
    expected = evidence.logs.keys() - {evidence.erased}
    if expected != evidence.stored.keys():
        yield f"stored: {sorted(expected)} should be found by a start, {sorted(evidence.stored)} would be"
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
    with suppress(IllegalEvent):
        fold.apply_all(events)
    return fold.transcript()


def _upstream(evidence: Evidence) -> Iterator[str]:
    """Asked once per attempt, unless what came before says why once more; never twice at a time."""
    by_key: dict[Key, list[Call]] = {}
    for call in evidence.calls:
        by_key.setdefault(call.key, []).append(call)
    for key, calls in by_key.items():
        name, log = key_text(key.user, key.request_id), evidence.logs.get(key)
        agent = log.record.agent if log is not None else ""
        for one, after in pairwise(calls):
            if after.boot in evidence.rolled_back_to or one.boot < evidence.rolled_back_at <= after.boot:
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


RULES = (_logs, _texts, _stored, _upstream)

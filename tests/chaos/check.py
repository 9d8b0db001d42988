"""Judges the history of a run: a pure function from what was noted to what is wrong with it.

    python -m tests.chaos.check FILE         says what is wrong, and exits with 1 if anything is

Four oracles against each other: what clients asked and were told, what readers were given, the journals that each node
shows in the end, and what the upstream was asked. Each violation begins with the name of its rule:

    acknowledged, liveness, one outcome, made once, refused, upstream, text, cancel, decide, poison, condemned   requests
    offsets, seen, bytes, verified, fenced, lost                                                                 readers
    one journal, legal                                                                                           journals
    end, coverage, gave up, unreadable                                                                           the run
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import rules_readers, rules_requests
from .evidence import Evidence, sort
from .history import Entry, read

NOT_THERE = 404
SHOWN_MAX = 40
"""Violations that are printed; one bug often shows in hundreds."""


def bitten(evidence: Evidence) -> Counter[str]:
    """How often each kind of fault hit something."""
    counts: Counter[str] = Counter()
    for fault in evidence.faults:
        counts[fault["kind"]] += fault["bit"] > 0
    for call in evidence.calls:
        if call["outcome"].startswith(rules_requests.UPSTREAM_FAULTS):
            counts[
                "upstream_" + ("status" if call["outcome"].startswith("status_") else call["outcome"])
            ] += 1
    return counts


def _run(evidence: Evidence) -> Iterator[str]:
    """The run came to its end, and every fault that was to happen has bitten."""
    if not evidence.over:
        yield "end: the run broke off"
    for trouble in evidence.troubles:
        what = {name: value for name, value in trouble.items() if name not in ("op", "t")}
        if trouble["op"] == "gave_up":
            yield f"gave up: a client will not connect any more: {what}"
        elif trouble["op"] == "broke":
            yield f"end: a part of the run itself broke: {what}"
        elif trouble.get("request") is None or trouble["status"] != NOT_THERE:
            yield f"unreadable: in the end, without faults: {what}"
    counts = bitten(evidence)
    yield from (f"coverage: {kind} never bit" for kind in evidence.run.get("enabled", ()) if not counts[kind])


def judge(evidence: Evidence) -> list[str]:
    """What is wrong; empty if nothing is."""
    rules = (_run, *rules_requests.RULES, *rules_readers.RULES)
    return [violation for rule in rules for violation in rule(evidence)]


def check(entries: Iterable[Entry]) -> list[str]:
    """The same for the lines of a history."""
    return judge(sort(entries))


def rules_of(violations: Iterable[str]) -> Counter[str]:
    """How often each rule was broken."""
    return Counter(violation.partition(":")[0] for violation in violations)


def main(arguments: list[str]) -> int:
    """Judge a saved history."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m tests.chaos.check FILE\n")
        return 2
    violations = check(read(Path(arguments[0])))
    for violation in violations[:SHOWN_MAX]:
        sys.stdout.write(violation + "\n")
    sys.stdout.write(f"{len(violations)} violations {dict(rules_of(violations))}\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

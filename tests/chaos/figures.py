"""What a run amounts to: counts and times from its history, as one line of JSON and as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

import msgspec

from holdfast_protocol import events as ev

from .check import bitten, rules_of
from .evidence import Evidence

TAKEN_OVER_FROM = ("kill", "died", "stop", "redis_stall", "redis_half_open")
"""Faults that take a node's leases; `died`: of the request that kills its worker. After a redeploy leases were given back; a
short stop or cut is not noticed."""

MARGIN_S = 1.0
"""What a takeover may take beyond the lease."""


def takeovers(evidence: Evidence) -> list[float]:
    """Seconds from the fault to the new writer's first event, of requests that were taken over for the first time. Those
    that have lost a second node run alone from then on, and may wait longer."""
    run = evidence.run
    # Leases are renewed while a third of their time has passed: what took a request away was before this.
    before_s = run["lease_s"] / 2
    sources = sorted(fault["t"] for fault in evidence.faults if fault["kind"] in TAKEN_OVER_FROM)
    out: list[float] = []
    for key, found in evidence.journals.items():
        if key.request in run.get("poison", ()):
            continue
        last_s, term = 0.0, 0
        for event in found[0].events:
            at_s = event.at / 1000 - run["wall"]
            if isinstance(event, ev.Started):
                if event.reason == "recovered":
                    of = [t for t in sources if last_s - 1.0 <= t <= at_s - before_s]
                    if of and event.term == term + 1:
                        out.append(round(at_s - of[-1], 3))
                    break
                term = event.term
            last_s = at_s
    return sorted(out)


def figures(evidence: Evidence, violations: Sequence[str], more: dict[str, Any]) -> dict[str, Any]:
    """The figures of a run."""
    run = evidence.run
    journals = [found[0] for found in evidence.journals.values()]
    times = takeovers(evidence)
    events = sum(
        len(entry["events"])
        for entries in evidence.readers.values()
        for entry in entries
        if entry["op"] == "page"
    )
    told = Counter(
        entry["reason"]
        for entries in evidence.readers.values()
        for entry in entries
        if entry["op"] == "snapshot"
    )
    submits = [op for op in evidence.ops if op.what == "submit"]
    limit_s = run["lease_s"] + MARGIN_S
    return {
        "seed": run["seed"],
        "seconds": run["seconds"],
        "nodes": run["nodes"],
        "planted": run["planted"],
        "requests": len(evidence.acknowledged),
        "submits": len(submits),
        "submits_repeated": len(submits) - len(evidence.asked),
        "submits_without_reply": sum(op.phase == "info" for op in submits),
        "outcomes": dict(Counter(str(journal.fold.status) for journal in journals)),
        "attempts_max": max(
            (journal.fold.started.attempt for journal in journals if journal.fold.started), default=0
        ),
        "readers": len(evidence.readers),
        "events_delivered": events,
        "snapshots": dict(told),
        "upstream_calls": len(evidence.calls),
        "faults": dict(sorted(bitten(evidence).items())),
        "takeovers": len(times),
        "takeover_p50_s": round(median(times), 2) if times else None,
        "takeover_max_s": times[-1] if times else None,
        "takeover_limit_s": limit_s,
        "takeovers_late": sum(time_s > limit_s for time_s in times),
        **more,
        "violations": len(violations),
        "broken_rules": dict(rules_of(violations)),
    }


def line(figures: dict[str, Any]) -> str:
    """For programs."""
    return msgspec.json.encode(figures).decode()


def table(figures: dict[str, Any]) -> str:
    """For people."""
    rows: list[tuple[str, str]] = []
    for name, value in figures.items():
        shown = value
        if isinstance(value, dict):
            shown = ", ".join(f"{key} {count}" for key, count in value.items()) or "none"
        rows.append((name.replace("_", " "), str(shown)))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)

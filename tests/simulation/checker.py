"""Judges the evidence of a run: a pure function from what was left to what is wrong with it.

Three oracles against each other: what clients saw and were told, what the store holds, what the upstream was asked. No
rule asks the core whether it is right; what an answer should say is known from words.py alone. Each violation begins with
the name of its rule. After the disk was put back to an older state, rules about what was acknowledged before hold no
more, but whoever reads must have been told.
"""

from __future__ import annotations

from tests.simulation import judge_clients, judge_store
from tests.simulation.evidence import Evidence


def check(evidence: Evidence) -> list[str]:
    """What is wrong; empty if nothing is."""
    if evidence.broke:
        return [f"end: the run broke off: {evidence.broke}"]
    return [violation for rule in (*judge_store.RULES, *judge_clients.RULES) for violation in rule(evidence)]

"""The checker, tested: every bug that is planted on purpose must be caught, by a rule that is about it."""

from __future__ import annotations

import pytest

from tests.simulation.checker import check
from tests.simulation.planted import BUGS
from tests.simulation.world import World

SEEDS_MAX = 400
"""As many as the rarest bug needs, twice over; the clean test runs more."""


@pytest.mark.parametrize("name", sorted(BUGS))
def test_a_planted_bug_is_caught(name, record_property):
    """A bug that somebody has shipped before is seen within a few hundred seeds, and for what it is."""
    bug = BUGS[name]
    others: set[str] = set()
    with bug.plant():
        for seed in range(SEEDS_MAX):
            rules = {violation.split(":")[0] for violation in check(World(seed).run())}
            if rules & bug.rules:
                print(f"{name}: seed {seed}, by {', '.join(sorted(rules & bug.rules))}")  # noqa: T201 - as a record
                record_property("seeds", seed + 1)
                return
            others |= rules
    pytest.fail(f"{name} was not caught in {SEEDS_MAX} seeds; other rules: {sorted(others)}")

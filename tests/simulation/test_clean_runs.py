"""The core under every fault at once, seed after seed: nothing that it promises may break."""

from __future__ import annotations

import os
import time

from tests.simulation.checker import check
from tests.simulation.world import World
from tests.support.faults import Coverage

FIRST_SEED = 0
SEEDS_MIN = 150
"""Fewer than this is no test, however slow the machine."""

BUDGET_S = float(os.environ.get("HOLDFAST_SIMULATION_S", "8"))
"""What the suite spends on seeds; `python -m tests.simulation --seeds N` spends as much as one likes."""


def test_no_seed_breaks_a_promise(record_property):
    """Whatever faults a seed brings, clients, store and upstream agree afterwards, and everybody has caught up."""
    began, coverage, seed = time.perf_counter(), Coverage(), FIRST_SEED
    while seed < FIRST_SEED + SEEDS_MIN or time.perf_counter() - began < BUDGET_S:
        world = World(seed)
        found = check(world.run())
        coverage.add(world.faults)
        assert not found, "\n".join(
            [*found, f"run it again: python -m tests.simulation --seed {seed} --trace"]
        )
        seed += 1
    print(f"{coverage.runs} seeds from {FIRST_SEED}, nothing wrong")  # noqa: T201 - how much was tried is part of the result
    record_property("seeds", coverage.runs)
    assert not coverage.toothless(), "faults that never bit have tested nothing"
    assert not coverage.unplanned(), "places that ask for faults and get none"


def test_a_seed_is_a_run():
    """The same seed gives the same run, step by step; another seed gives another."""

    def trace(seed: int) -> tuple[int, int, int]:
        world = World(seed)
        evidence = world.run()
        return world.sim.trace, evidence.turns, len(evidence.saw)

    assert [trace(seed) for seed in range(8)] == [trace(seed) for seed in range(8)]
    assert len({trace(seed) for seed in range(8)}) == 8

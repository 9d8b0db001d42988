"""`python -m tests.simulation`: many seeds, or one with its trace; exit status 1 if a rule was broken."""

# ruff: noqa: T201 - a program for people, who read what it prints

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter

from tests.simulation.checker import check
from tests.simulation.planted import BUGS
from tests.simulation.world import World
from tests.support.faults import Coverage


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="one seed only, with everything that is known of it")
    parser.add_argument("--trace", action="store_true", help="with --seed: every step of the loop")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--bug", choices=sorted(BUGS), help="with this bug planted")
    parser.add_argument("--faults", action="store_true", help="say what the faults did")
    options = parser.parse_args()
    with BUGS[options.bug].plant() if options.bug else contextlib.nullcontext():
        return one(options.seed, options.trace) if options.seed is not None else many(options)


def one(seed: int, trace: bool) -> int:
    """Everything about one seed."""
    world = World(seed, record=trace)
    evidence = world.run()
    for line in world.sim.lines or ():
        print(line)
    plan = world.plan
    print(
        f"plan: {len(plan.clients)} clients, {plan.requests}, slots {plan.slots}, chaos {plan.chaos_s:.2f} s"
    )
    for act in sorted(plan.acts, key=lambda act: act.at_s):
        print(f"  {act.at_s:.3f} {plan.clients[act.client]}{act.client} {act.verb} {act.fields}")
    for told in evidence.told:
        print(f"told {told.at - 1000:.3f} {told}")
    for call in evidence.calls:
        print(f"call {call}")
    for log in evidence.logs.values():
        print(log, log.inbox)
        for number, event in enumerate(log.events):
            print(f"  {number} {event}")
    print(
        f"errors: {evidence.errors}; zombies: {evidence.zombies}; put back at boots: {evidence.rolled_back_to}"
    )
    found = check(evidence)
    print("\n".join(found) or f"seed {seed}: nothing wrong in {evidence.turns} turns")
    return bool(found)


def many(options: argparse.Namespace) -> int:
    """Seeds in a row; the first violation of each seed that has any."""
    coverage, rules, turns = Coverage(), Counter[str](), 0
    began = time.perf_counter()
    for seed in range(options.first, options.first + options.seeds):
        world = World(seed)
        evidence = world.run()
        coverage.add(world.faults)
        turns += evidence.turns
        found = check(evidence)
        if found:
            rules[found[0].split(":")[0]] += 1
            print(f"seed {seed}: {len(found)} violations; {found[0][:400]}", flush=True)
    took_s = time.perf_counter() - began
    print(
        f"{options.seeds} seeds, {options.seeds / took_s:.0f} a second, {turns / options.seeds:.0f} turns each, "
        f"{sum(rules.values())} with violations {dict(rules)}"
    )
    if options.faults:
        print(coverage)
    if coverage.toothless():
        print(f"never bit: {', '.join(coverage.toothless())}")
    return bool(rules)


if __name__ == "__main__":
    sys.exit(main())

"""The chaos run, short: real servers under every fault that they are meant for lose nothing, and planted bugs are found.

The long one is `make chaos`, two minutes by default. The histories of these are judged by the same checker.
"""

from __future__ import annotations

import pytest

from tests.chaos.check import rules_of
from tests.chaos.planted import PLANTS
from tests.chaos.run import Settings, run

pytestmark = [pytest.mark.faults, pytest.mark.slow]

SEED = 7
ALONE, CLUSTER = 0, 3
SECONDS = 14.0
PLANTED_S = 8.0
WITHIN_S = 8.0  # a planted bug is waited for no longer: what it holds up never comes
FEW = ("kill", "redis_half_open", "redis_kill")  # the rest is for the long run


def sentences(violations: list[str]) -> str:
    """The first of them, for whoever reads a failed test."""
    return "\n".join(violations[:20])


async def test_a_server_alone_loses_nothing(tmp_path):
    """A server with its own files, killed, stopped and redeployed, its clients' lines cut, stalled and swallowed, and its
    model failing in every way: no rule of the checker is broken."""
    verdict = await run(Settings(SECONDS, SEED, tmp_path, nodes=ALONE))
    assert not verdict.violations, sentences(verdict.violations)
    assert verdict.figures["requests"] >= SECONDS
    assert verdict.figures["reconnects"] > 0


@pytest.mark.needs("redis-server", "postgres")
async def test_a_cluster_loses_nothing(tmp_path):
    """Three nodes on Redis and PostgreSQL, one killed, one cut off, Redis killed, and a request that kills its worker among
    the others: no rule is broken, and that request was taken over, at least once."""
    verdict = await run(Settings(SECONDS, SEED, tmp_path, nodes=CLUSTER, only=FEW))
    assert not verdict.violations, sentences(verdict.violations)
    assert (
        verdict.figures["faults"]["died"] > 1
    )  # of those that ran it; what runs where the dice kill differs


@pytest.mark.parametrize("name", ["offset_told_twice", "submit_not_idempotent"])
async def test_a_planted_bug_is_found(tmp_path, name):
    """A bug in a server of its own is found by a rule that is about it."""
    verdict = await run(
        Settings(PLANTED_S, SEED, tmp_path, nodes=ALONE, planted=name, within_s=WITHIN_S, only=("kill",))
    )
    assert PLANTS[name].rules & rules_of(verdict.violations).keys(), sentences(verdict.violations)


@pytest.mark.needs("redis-server", "postgres")
async def test_a_bug_planted_in_the_cluster_is_found(tmp_path):
    """Leases of dead nodes that never end are found: what ran there stands still."""
    name = "nobody_takes_over"
    verdict = await run(
        Settings(
            PLANTED_S,
            SEED,
            tmp_path,
            nodes=CLUSTER,
            planted=name,
            within_s=WITHIN_S,
            only=("kill",),
        )
    )
    assert PLANTS[name].rules & rules_of(verdict.violations).keys(), sentences(verdict.violations)

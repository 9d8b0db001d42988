"""Faults are seeded per place, counted, and can be placed by hand or left out."""

import pytest

from tests.support.faults import NO_FAULTS, Coverage, FaultHooks, Faults, ScriptedFaults

RATES = {"append.reply_lost": 0.3, "disk.full": 0.1}
DELAYS = {"disk.commit": (0.001, 0.5)}


def answers(hooks: FaultHooks, place: str, times: int = 50) -> list[bool]:
    return [hooks.fault(place) for _ in range(times)]


def test_the_same_seed_gives_the_same_faults():
    """Faults and delays repeat by seed, and differ between seeds."""
    runs = []
    for seed in (1, 1, 2):
        faults = Faults(seed, RATES, DELAYS)
        runs.append((answers(faults, "append.reply_lost"), [faults.delay("disk.commit") for _ in range(9)]))
    assert runs[0] == runs[1] != runs[2]


def test_places_do_not_move_each_other():
    """A new place, or one asked more often, changes nothing for the others. Mutant seen red: shared dice."""
    alone = Faults(1, RATES)
    among = Faults(1, {**RATES, "new.place": 0.5})
    expected = answers(alone, "disk.full")
    found = []
    for _ in range(50):
        among.fault("new.place")
        found.append(among.fault("disk.full"))
    assert found == expected


def test_rates_hold_roughly_and_at_the_ends_exactly():
    """A rate is a probability: 0 never, 1 always, and in between about so often."""
    faults = Faults(0, {"never": 0.0, "always": 1.0, "third": 0.33})
    assert not any(answers(faults, "never"))
    assert all(answers(faults, "always"))
    assert 250 < sum(answers(faults, "third", 1000)) < 410
    assert not any(answers(faults, "not listed"))


def test_delays_stay_in_range():
    """A delay lies within its range, and a place without one does not wait."""
    faults = Faults(0, {}, {"wide": (0.0, 1.0), "narrow": (0.2, 0.2)})
    waits = [faults.delay("wide") for _ in range(500)]
    assert 0 <= min(waits) < 0.01
    assert 0.5 < max(waits) <= 1
    assert faults.delay("narrow") == pytest.approx(0.2)
    assert faults.delay("none") == 0


def test_what_fired_is_counted():
    """Asked and fired are counted per place, and counted alike by the caller."""
    faults = Faults(3, RATES)
    fired = sum(answers(faults, "append.reply_lost"))
    assert fired
    assert faults.fired["append.reply_lost"] == fired
    assert faults.asked["append.reply_lost"] == 50


def test_stop_ends_all_trouble():
    """After `stop` nothing goes wrong and nothing waits."""
    faults = Faults(0, {"always": 1.0}, DELAYS)
    assert faults.fault("always")
    faults.stop()
    assert not faults.fault("always")
    assert faults.delay("disk.commit") == 0


def test_swarm_leaves_some_places_whole():
    """With a swarm below 1 each seed spares some places, others hit, and no place is spared by all seeds."""
    hit = set()
    for seed in range(40):
        faults = Faults(seed, {"a": 0.9, "b": 0.9}, swarm=0.5)
        hit.add((any(answers(faults, "a")), any(answers(faults, "b"))))
    assert hit == {(True, True), (True, False), (False, True), (False, False)}


def test_coverage_names_what_never_bit():
    """Over many seeds, places that never fired and places nobody planned for are listed."""
    coverage = Coverage()
    for seed in range(20):
        faults = Faults(seed, {**RATES, "append.replylost": 0.5}, DELAYS)
        answers(faults, "append.reply_lost")
        answers(faults, "disk.full")
        faults.fault("read.slow")
        faults.delay("disk.commit")
        coverage.add(faults)
    assert coverage.toothless() == ["append.replylost"]
    assert coverage.unplanned() == ["read.slow"]
    assert coverage.runs == 20
    assert "disk.full: " in str(coverage)


def test_scripted_faults_bite_where_told():
    """A script bites at the named chances only, and names those that never came."""
    faults = ScriptedFaults({"append.reply_lost": [1, 9]}, {"disk.commit": {0: 2.5}})
    assert answers(faults, "append.reply_lost", 3) == [False, True, False]
    assert [faults.delay("disk.commit") for _ in range(2)] == [2.5, 0]
    assert faults.missed() == ["append.reply_lost[9]"]


def test_no_faults():
    """The null object never goes wrong and never waits."""
    assert not any(answers(NO_FAULTS, "append.reply_lost"))
    assert NO_FAULTS.delay("disk.commit") == 0


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_probability(rate: float):
    """A rate outside 0 to 1 is refused with its place."""
    with pytest.raises(ValueError, match=r"disk\.full"):
        Faults(0, {"disk.full": rate})


def test_a_delay_goes_from_least_to_greatest():
    """A reversed range is refused with its place."""
    with pytest.raises(ValueError, match=r"disk\.commit"):
        Faults(0, {}, {"disk.commit": (2.0, 1.0)})

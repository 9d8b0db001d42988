"""Faults placed by name: production code asks `fault("append.reply_lost")` where a thing can go wrong.

Each place has dice of its own, of the run's seed and the place's name, so that a new place leaves the others'
faults where they were. With `swarm` below 1 a seed leaves some places whole and hits the others harder to see:
a bug that needs one fault *without* another is found too. What fired is counted, and `Coverage` adds the
counts up over many seeds: a fault that never bit has tested nothing, and says so.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

Range = tuple[float, float]
"""A delay's least and greatest value, in seconds."""


class FaultHooks(Protocol):
    """What production code is handed. `NO_FAULTS` outside of simulations."""

    def fault(self, place: str) -> bool:
        """Whether to go wrong here, now. A place asks once per chance."""
        ...

    def delay(self, place: str) -> float:
        """How many seconds to take here, now; 0 for no wait at all."""
        ...


class NoFaults:
    """Nothing goes wrong and nothing takes time."""

    def fault(self, place: str) -> bool:
        return False

    def delay(self, place: str) -> float:
        return 0.0


NO_FAULTS: FaultHooks = NoFaults()


class Faults:
    """Seeded faults. The same seed and the same questions give the same answers."""

    def __init__(
        self,
        seed: int,
        rates: Mapping[str, float],
        delays: Mapping[str, Range] | None = None,
        *,
        swarm: float = 1.0,
    ) -> None:
        """`rates`: place to probability; `delays`: place to range. A place in neither never goes wrong.

        Raises: ValueError for a probability outside 0 to 1 or a range that is not 0 <= least <= greatest.
        """
        for place, rate in {**rates, "swarm": swarm}.items():
            if not 0 <= rate <= 1:
                raise ValueError(f"{place}: a rate is a probability, 0 to 1, not {rate}")
        for place, (least_s, greatest_s) in (delays or {}).items():
            if not 0 <= least_s <= greatest_s:
                raise ValueError(
                    f"{place}: a delay goes from least to greatest, not {least_s} to {greatest_s}"
                )
        self.rates = dict(rates)
        self.delays = dict(delays or {})
        self.asked: Counter[str] = Counter()
        """How often each place asked, with or without a rate of its own."""
        self.fired: Counter[str] = Counter()
        """How often each place went wrong, or was made to wait."""
        self._seed = seed
        self._swarm = swarm
        self._dice: dict[str, random.Random] = {}
        self._whole: dict[str, bool] = {}
        self._stopped = False

    def fault(self, place: str) -> bool:
        self.asked[place] += 1
        rate = self.rates.get(place, 0.0)
        if self._stopped or not rate:
            return False
        bites = self._roll(place).random() < rate and not self._whole[place]
        if bites:
            self.fired[place] += 1
        return bites

    def delay(self, place: str) -> float:
        """Each order of magnitude within the range is as likely as the next: short waits race, long ones expire."""
        self.asked[place] += 1
        least_s, greatest_s = self.delays.get(place, (0.0, 0.0))
        if self._stopped or not greatest_s:
            return 0.0
        floor_s = max(least_s, greatest_s / 1000)
        wait_s: float = floor_s * (greatest_s / floor_s) ** self._roll(place).random()
        if self._whole[place]:
            return least_s
        self.fired[place] += 1
        return wait_s

    def stop(self) -> None:
        """From here on nothing goes wrong or takes time: what was promised for "in the end" is due now."""
        self._stopped = True

    def _roll(self, place: str) -> random.Random:
        dice = self._dice.get(place)
        if dice is None:
            dice = self._dice[place] = random.Random(f"fault:{self._seed}:{place}")
            self._whole[place] = dice.random() >= self._swarm
        return dice


class ScriptedFaults:
    """Faults placed by hand: a place goes wrong at the chances named, counted from 0, and at no other."""

    def __init__(
        self, faults: Mapping[str, Iterable[int]], delays: Mapping[str, Mapping[int, float]] | None = None
    ) -> None:
        self.asked: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self._faults = {place: frozenset(chances) for place, chances in faults.items()}
        self._delays = dict(delays or {})

    def fault(self, place: str) -> bool:
        bites = self._chance(place) in self._faults.get(place, ())
        if bites:
            self.fired[place] += 1
        return bites

    def delay(self, place: str) -> float:
        wait_s = self._delays.get(place, {}).get(self._chance(place), 0.0)
        if wait_s:
            self.fired[place] += 1
        return wait_s

    def missed(self) -> list[str]:
        """The chances that were named and never came: the script is about code that has changed."""
        named = [(place, chance) for place, chances in self._faults.items() for chance in chances]
        named += [(place, chance) for place, waits in self._delays.items() for chance in waits]
        return sorted(f"{place}[{chance}]" for place, chance in named if chance >= self.asked[place])

    def _chance(self, place: str) -> int:
        self.asked[place] += 1
        return self.asked[place] - 1


class Coverage:
    """What faults did over many seeds."""

    def __init__(self) -> None:
        self.runs = 0
        self.asked: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self._planned: set[str] = set()

    def add(self, faults: Faults) -> None:
        self.runs += 1
        self.asked.update(faults.asked)
        self.fired.update(faults.fired)
        self._planned.update(place for place, rate in faults.rates.items() if rate)
        self._planned.update(place for place, (_, greatest_s) in faults.delays.items() if greatest_s)

    def toothless(self) -> list[str]:
        """The places with a rate or a range that never bit: misspelt, never reached, or too rare to count on."""
        return sorted(place for place in self._planned if not self.fired[place])

    def unplanned(self) -> list[str]:
        """The places in the code that asked and have neither a rate nor a range in any run."""
        return sorted(place for place in self.asked if place not in self._planned)

    def __str__(self) -> str:
        lines = [f"{place}: {self.fired[place]} of {asked}" for place, asked in sorted(self.asked.items())]
        return f"{self.runs} runs\n" + "\n".join(lines)
